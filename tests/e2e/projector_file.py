"""A tiny image encoder with random weights, as llama.cpp's --mmproj reads it: GGUF, CLIP, LLaVA's MLP."""

import random
import struct
import zlib

SIZE = 28  # pixels of a side
PATCH = 14
WIDTH = 32
LAYERS = 2
TOKENS = (SIZE // PATCH) ** 2  # of an image

_UINT32, _FLOAT, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_ALIGNMENT = 32


def _text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _entry(key, value):
    if isinstance(value, bool):
        return _text(key) + struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return _text(key) + struct.pack("<II", _UINT32, value)
    if isinstance(value, float):
        return _text(key) + struct.pack("<If", _FLOAT, value)
    if isinstance(value, str):
        return _text(key) + struct.pack("<I", _STRING) + _text(value)
    return _text(key) + struct.pack(f"<IIQ{len(value)}f", _ARRAY, _FLOAT, len(value), *value)


def _shapes(model_width):
    yield "v.patch_embd.weight", (PATCH, PATCH, 3, WIDTH)
    yield "v.position_embd.weight", (WIDTH, TOKENS)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield f"v.blk.{layer}.{name}.weight", (WIDTH, WIDTH)
        for name in ("ln1", "ln2"):
            yield f"v.blk.{layer}.{name}.weight", (WIDTH,)
            yield f"v.blk.{layer}.{name}.bias", (WIDTH,)
        yield f"v.blk.{layer}.ffn_up.weight", (WIDTH, 2 * WIDTH)
        yield f"v.blk.{layer}.ffn_down.weight", (2 * WIDTH, WIDTH)
    yield "mm.0.weight", (WIDTH, model_width)
    yield "mm.0.bias", (model_width,)
    yield "mm.2.weight", (model_width, model_width)
    yield "mm.2.bias", (model_width,)


def write_projector(path, model_width):
    """For a model whose embeddings have `model_width` numbers."""
    entries = {
        "general.architecture": "clip", "clip.has_vision_encoder": True, "clip.projector_type": "mlp",
        "clip.use_gelu": True, "clip.vision.image_size": SIZE, "clip.vision.patch_size": PATCH,
        "clip.vision.embedding_length": WIDTH, "clip.vision.feed_forward_length": 2 * WIDTH,
        "clip.vision.projection_dim": model_width, "clip.vision.block_count": LAYERS,
        "clip.vision.attention.head_count": 2, "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5] * 3, "clip.vision.image_std": [0.5] * 3}
    draw = random.Random(1)
    tensors, data = b"", bytearray()
    shapes = list(_shapes(model_width))
    for name, shape in shapes:
        tensors += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        count = 1
        for extent in shape:
            count *= extent
        data += struct.pack(f"<{count}f", *(draw.uniform(-0.3, 0.3) for _ in range(count)))
        data += bytes(-len(data) % _ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(entries))
    head += b"".join(_entry(key, value) for key, value in entries.items()) + tensors
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + data)


def png(red, green, blue):
    """An image of one colour."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    rows = (b"\0" + bytes((red, green, blue)) * SIZE) * SIZE
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
