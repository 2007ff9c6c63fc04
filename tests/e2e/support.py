"""What the end-to-end tests share: the command, its model, its outcome, and GGUF files to damage."""

import atexit
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

BINARY = os.environ["HYPURA_BINARY"]
REPO = Path(os.environ["HYPURA_REPO_DIR"])
MODEL = REPO / "models" / "storyteller-moe-q4_k_m.gguf"
PROMPT = "Once upon a time"

# No test reads or writes what the commands keep of this user: profiles, statistics, past runs.
_CACHE = tempfile.TemporaryDirectory(prefix="hypura-e2e-cache-")
atexit.register(_CACHE.cleanup)
os.environ["XDG_CACHE_HOME"] = _CACHE.name
# Nor does one find this user's models.
for _name in ("HYPURA_MODELS", "OLLAMA_MODELS", "HF_HUB_CACHE"):
    os.environ[_name] = os.path.join(_CACHE.name, _name.lower())

HANG_SECONDS = 240  # a busy machine is slow, not hung

DONE, FAILED, USAGE, DOES_NOT_FIT, INVALID_MODEL, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Outcome:
    def __init__(self, words, returncode, stdout, stderr):
        self.words, self.returncode = words, returncode
        self.stdout = stdout.decode("utf-8", "replace")
        self.stderr = stderr.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.stdout)

    def __str__(self):
        return (f"hypura {' '.join(self.words)}\nreturncode {self.returncode}\n"
                f"stdout: {self.stdout[:400]!r}\nstderr: {self.stderr[:1200]}")


def command(*words):
    return [BINARY, *map(str, words)]


def hypura(*words, stdin=b"", timeout=HANG_SECONDS, **popen):
    """Runs the command to its end; a hang raises subprocess.TimeoutExpired."""
    done = subprocess.run(command(*words), input=stdin, capture_output=True, timeout=timeout, **popen)
    return Outcome([str(w) for w in words], done.returncode, done.stdout, done.stderr)


def start(*words, stdin=subprocess.DEVNULL):
    """A running command with unbuffered pipes: what was not read_first() is there for communicate()."""
    return subprocess.Popen(command(*words), stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, bufsize=0)


def read_first(process, count):
    """The first `count` bytes or a few more of what it says on stdout."""
    text = b""
    while len(text) < count:
        piece = process.stdout.read(count)
        assert piece, f"stdout ended after {text!r}"
        text += piece
    return text


def greedy(*words, model=MODEL, prompt=PROMPT, count=64, **kwargs):
    """`run --json` at temperature 0; returns the object it prints."""
    outcome = hypura("run", model, "-p", prompt, "-n", count, "--temp", 0, "--json", *words, **kwargs)
    assert outcome.returncode == DONE, str(outcome)
    return outcome.json()


def architectures():
    """A folder with a tiny random model of every architecture, or None. The caller removes it."""
    writer = os.environ.get("HYPURA_TEST_ARCHS", "")
    if not os.access(writer, os.X_OK):
        return None
    folder = tempfile.mkdtemp(prefix="hypura-archs-")
    subprocess.run([writer, "-s", "42", "-o", folder], check=True, capture_output=True, timeout=120)
    return Path(folder)


class TestCase(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hypura-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def assert_error(self, outcome, *codes):
        """One message on stderr, one of `codes`, nothing on stdout."""
        self.assertIn(outcome.returncode, codes, str(outcome))
        self.assertEqual(outcome.stdout, "", str(outcome))
        messages = [line for line in outcome.stderr.splitlines() if line.startswith("error")]
        self.assertEqual(len(messages), 1, str(outcome))
        self.assertGreater(len(messages[0]), len("error: "), str(outcome))


# GGUF value types by number: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", UINT32: "I", INT32: "i", FLOAT32: "f", BOOL: "?",
            UINT64: "Q", 11: "q", 12: "d"}
_ALIGNMENT = 32


class Gguf:
    """A GGUF file in parts that can be changed and written again, right or wrong.

    metadata: name -> (type, encoded value); infos: list of (name, ne, type, offset).
    """

    def __init__(self, content):
        self._content, self._at = content, 4
        self.version, tensors, pairs = self._take("IQQ")
        self.metadata = {}
        for _ in range(pairs):
            name = self._string()
            (kind,) = self._take("I")
            begin = self._at
            self._skip(kind)
            self.metadata[name] = (kind, content[begin:self._at])
        self.metadata_end = self._at
        self.infos = []
        for _ in range(tensors):
            name = self._string()
            (dimensions,) = self._take("I")
            ne = self._take(f"{dimensions}Q")
            self.infos.append((name, ne, *self._take("IQ")))
        self.header_bytes = self._at
        self.data = content[-(-self._at // _ALIGNMENT) * _ALIGNMENT:]

    def _take(self, format_):
        values = struct.unpack_from("<" + format_, self._content, self._at)
        self._at += struct.calcsize("<" + format_)
        return values

    def _string(self):
        (length,) = self._take("Q")
        self._at += length
        return self._content[self._at - length:self._at].decode()

    def _skip(self, kind):
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            of, count = self._take("IQ")
            for _ in range(count):
                self._skip(of)
        else:
            self._take(_FORMATS[kind])

    def set(self, name, kind, value):
        self.metadata[name] = (kind, struct.pack("<" + _FORMATS[kind], value))

    def set_string(self, name, value):
        self.metadata[name] = (STRING, _encoded(value))

    def change(self, name, value):
        """Another value of the same type."""
        self.set(name, self.metadata[name][0], value)

    def empty_array(self, name):
        element_type = self.metadata[name][1][:4]
        self.metadata[name] = (ARRAY, element_type + struct.pack("<Q", 0))

    def encoded(self):
        out = bytearray(b"GGUF" + struct.pack("<IQQ", self.version, len(self.infos), len(self.metadata)))
        for name, (kind, value) in self.metadata.items():
            out += _encoded(name) + struct.pack("<I", kind) + value
        for name, ne, kind, offset in self.infos:
            out += _encoded(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, kind, offset)
        out += bytes(-len(out) % _ALIGNMENT)
        return bytes(out + self.data)


def _encoded(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()
