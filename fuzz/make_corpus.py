#!/usr/bin/env python3
"""Writes the seeds of model_index_fuzz.cpp, tiny valid GGUF files, into fuzz/corpus/model_index."""

import pathlib
import struct

ALIGNMENT = 32
U8, U16, U32, I32, F32, TEXT, ARRAY, U64 = 0, 2, 4, 5, 6, 8, 9, 10
FORMATS = {U8: "<B", U16: "<H", U32: "<I", I32: "<i", F32: "<f", U64: "<Q"}
# Tensor types: number -> (elements, bytes) of a block.
BLOCKS = {0: (1, 4), 1: (1, 2), 8: (32, 34), 12: (256, 144), 39: (32, 17)}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    return text(content) if kind == TEXT else struct.pack(FORMATS[kind], content)


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(value(kind, item) for item in items)


def pad(data):
    return data + bytes(-len(data) % ALIGNMENT)


def gguf(keys, tensors, version=3):
    """keys: (name, kind, value) or (name, (ARRAY, kind), items); tensors: (name, type, ne)."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for name, kind, content in keys:
        if isinstance(kind, tuple):
            head += text(name) + struct.pack("<I", ARRAY) + array(kind[1], content)
        else:
            head += text(name) + struct.pack("<I", kind) + value(kind, content)
    data = b""
    for name, kind, ne in tensors:
        head += text(name) + struct.pack("<I", len(ne)) + struct.pack(f"<{len(ne)}q", *ne)
        head += struct.pack("<IQ", kind, len(data))
        elements, size = BLOCKS[kind]
        for n in ne[1:]:
            size *= n
        data = pad(data + bytes(ne[0] // elements * size))
    return pad(head) + data


def seeds():
    dense = [
        ("general.architecture", TEXT, "llama"),
        ("general.name", TEXT, "dense"),
        ("general.file_type", U32, 7),
        ("general.alignment", U32, ALIGNMENT),
        ("llama.block_count", U32, 1),
        ("llama.context_length", U64, 64),
        ("llama.rope.freq_base", F32, 10000.0),
        ("tokenizer.ggml.tokens", (ARRAY, TEXT), ["a", "b", "c"]),
        ("tokenizer.ggml.scores", (ARRAY, F32), [0.0, 1.0, 2.0]),
        ("tokenizer.chat_template", TEXT, "{{ messages }}"),
    ]
    yield "dense", gguf(dense, [
        ("token_embd.weight", 1, [32, 3]),
        ("blk.0.attn_q.weight", 8, [32, 32]),
        ("blk.0.attn_norm.weight", 0, [32]),
        ("blk.0.ffn_up.weight", 8, [32, 8]),
        ("output.weight", 8, [32, 3]),
    ])
    yield "version2", gguf(dense[:2], [("output.weight", 0, [4])], version=2)

    moe = [
        ("general.architecture", TEXT, "m"),
        ("m.expert_count", U32, 4),
        ("m.expert_used_count", (ARRAY, I32), [2, 1]),
    ]
    experts = [
        ("blk.0.ffn_gate_inp.weight", 0, [32, 4]),
        ("blk.0.ffn_gate_exps.weight", 39, [32, 2, 4]),
        ("blk.0.ffn_down_exps.weight", 12, [256, 1, 4]),
        ("blk.0.ffn_down_exps.bias", 0, [8, 4]),
        ("blk.0.ffn_up_chexps.weight", 0, [8, 1, 2]),
        ("blk.0.ffn_up_shexp.weight", 8, [32, 2]),
    ]
    yield "moe", gguf(moe, experts)

    def split(number):
        return [("split.no", U16, number), ("split.count", U16, 2)]

    first = gguf(moe + split(0) + [("split.tensors.count", I32, 6)], experts[:3])
    second = gguf(split(1), experts[3:])
    yield "split", first + b"|shard 2|" + second


def main():
    folder = pathlib.Path(__file__).parent / "corpus" / "model_index"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (folder / f"{name}.gguf").write_bytes(data)


if __name__ == "__main__":
    main()
