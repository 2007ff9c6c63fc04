"""Files that commands write: never over a model, and with a reason where it is not possible."""

import resource
import signal
import unittest

import support

# What writes a file, with the option that names it; the file comes last.
WRITERS = {
    "trace": ("trace", support.MODEL, "-p", "hi", "-n", 2, "-o"),
    "inspect": ("inspect", support.MODEL, "--save-header"),
    "plan": ("estimate", "--machine", "m1-max-32gb", support.MODEL, "--save"),
    "bench": ("bench", support.MODEL, "--arms", "hypura", "--samples", 1, "--save"),
}


class OutputFiles(support.TestCase):
    def test_a_model_is_not_overwritten(self):
        content = support.MODEL.read_bytes()[:4096]
        for name, words in WRITERS.items():
            with self.subTest(name=name):
                copy = self.file("model.gguf", content)
                outcome = support.hypura(*words, copy)
                self.assert_error(outcome, support.USAGE)
                self.assertIn(f"another file for {words[-1]}", outcome.stderr)
                self.assertEqual(copy.read_bytes(), content)

    def test_a_full_disk_is_named(self):
        for name in ("inspect", "plan"):
            with self.subTest(name=name):
                outcome = support.hypura(*WRITERS[name], "/dev/full")
                self.assert_error(outcome, support.FAILED)
                self.assertIn("/dev/full", outcome.stderr)
                self.assertIn("No space left on device", outcome.stderr)

    def test_a_half_is_not_left_for_the_whole(self):
        # A limit on the file's size stands for the disk.
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        header = self.folder / "header"
        outcome = support.hypura(*WRITERS["inspect"], header, preexec_fn=limit)
        self.assert_error(outcome, support.FAILED)
        self.assertIn("File too large", outcome.stderr)
        self.assertFalse(header.exists())


if __name__ == "__main__":
    unittest.main()
