"""Damaged files: one message and the documented exit code; no crash, no hang, no output."""

import os
import random
import unittest

import support

INTACT = support.MODEL.read_bytes()
HEADER_BYTES = support.Gguf(INTACT).header_bytes
SEED = int(os.environ.get("HYPURA_SEED", "1"))
HEADER_FLIPS, DATA_FLIPS = 300, 20


class BadFiles(support.TestCase):
    def run_model(self, path, budget="min", **popen):
        return support.hypura("run", path, "-p", support.PROMPT, "-n", 3, "--temp", 0, "-t", 1,
                              "--ram-budget", budget, **popen)

    def assert_refused(self, path, *codes):
        for budget in ("min", "1G"):
            outcome = self.run_model(path, budget)
            self.assert_error(outcome, *codes)
            self.assertIn(str(path), outcome.stderr)
        self.assert_error(support.hypura("inspect", path), *codes)

    def test_truncated(self):
        lengths = [0, 1, 3, 4, 8, 23, 24, 25, 100, 1000, 100_000, HEADER_BYTES - 1, HEADER_BYTES,
                   HEADER_BYTES + 32, len(INTACT) // 2, len(INTACT) - 4096, len(INTACT) - 1]
        for length in lengths:
            with self.subTest(length=length):
                self.assert_refused(self.file("cut.gguf", INTACT[:length]), support.INVALID_MODEL)

    def test_something_else(self):
        others = {"text": b"Once upon a time\n" * 1000, "zeros": bytes(100_000),
                  "noise": random.Random(SEED).randbytes(100_000),
                  "magic alone": b"GGUF" + random.Random(SEED).randbytes(100_000)}
        for name, content in others.items():
            with self.subTest(name=name):
                self.assert_refused(self.file("other.gguf", content), support.INVALID_MODEL)

    def test_not_a_file(self):
        self.assert_refused(self.folder, support.FAILED)
        self.assert_refused(self.folder / "missing.gguf", support.FAILED)
        self.assert_refused("/dev/null", support.FAILED, support.INVALID_MODEL)

    def test_a_pipe_is_not_waited_for(self):
        os.mkfifo(self.folder / "pipe.gguf")
        self.assert_refused(self.folder / "pipe.gguf", support.FAILED, support.INVALID_MODEL)

    def test_unreadable(self):
        path = self.file("unreadable.gguf", INTACT)
        path.chmod(0)
        self.folder.chmod(0o755)
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        if as_nobody and not os.access("/tmp", os.X_OK):
            self.skipTest("another user cannot reach this folder")
        try:
            outcome = self.run_model(path, **as_nobody)
        except PermissionError:
            self.skipTest("another user cannot run the binary")
        self.assert_error(outcome, support.FAILED)
        self.assertIn("Permission denied", outcome.stderr)

    def test_a_vocabulary_alone(self):
        vocabulary = support.Gguf(INTACT)
        vocabulary.infos, vocabulary.data = [], b""
        self.assert_refused(self.file("vocabulary.gguf", vocabulary.encoded()), support.INVALID_MODEL)

    def test_a_missing_shard(self):
        shard = support.Gguf(INTACT)
        shard.set("split.no", 2, 0)
        shard.set("split.count", 2, 2)
        shard.set("split.tensors.count", support.INT32, len(shard.infos) + 5)
        path = self.file("model-00001-of-00002.gguf", shard.encoded())
        outcome = self.run_model(path)
        self.assert_error(outcome, support.FAILED, support.INVALID_MODEL)
        self.assertIn("model-00002-of-00002.gguf", outcome.stderr)

    def test_bits_flipped_in_the_header(self):
        refused = 0
        for seed in range(SEED, SEED + HEADER_FLIPS):
            # Half of them among the numbers before the vocabulary, or in the tensor list.
            draw = random.Random(seed)
            begin, end = draw.choice([(0, 1500), (0, HEADER_BYTES), (HEADER_BYTES - 4500, HEADER_BYTES)])
            damaged = bytearray(INTACT)
            for _ in range(draw.choice([1, 1, 2, 16])):
                damaged[draw.randrange(begin, end)] ^= 1 << draw.randrange(8)
            with self.subTest(seed=seed):
                outcome = self.run_model(self.file("flipped.gguf", damaged), draw.choice(["min", "1G"]))
                if outcome.returncode != support.DONE:  # what a name or a token says may be anything
                    self.assert_error(outcome, support.INVALID_MODEL)
                    refused += 1
        self.assertGreater(refused, HEADER_FLIPS / 4)

    def test_bits_flipped_in_the_weights(self):
        for seed in range(SEED, SEED + DATA_FLIPS):
            draw = random.Random(seed)
            damaged = bytearray(INTACT)
            for _ in range(1000):
                damaged[draw.randrange(HEADER_BYTES + 32, len(INTACT))] ^= 1 << draw.randrange(8)
            with self.subTest(seed=seed):
                outcome = self.run_model(self.file("flipped.gguf", damaged), draw.choice(["min", "1G"]))
                # Such weights make another model, or one whose figures are no numbers.
                self.assertIn(outcome.returncode, (support.DONE, support.FAILED, support.INVALID_MODEL),
                              str(outcome))


if __name__ == "__main__":
    unittest.main()
