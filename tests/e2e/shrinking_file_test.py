"""A file that changes while it is read: a clean error or the right answer, never wrong text."""

import os
import shutil
import unittest

import support


class ShrinkingFile(support.TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "model.gguf"
        shutil.copy(support.MODEL, self.path)

    def start(self, *words):
        process = support.start("run", self.path, "-p", support.PROMPT, "-n", 300, "--temp", 0,
                                "-t", 1, "--ignore-eos", *words)
        self.addCleanup(process.kill)
        return process, support.read_first(process, 8)

    def expected(self):
        return support.greedy("-t", 1, "--ignore-eos", "--mode", "resident", "--exact", count=300)["text"]

    def test_truncated_while_streaming(self):
        for length in (0, 1_000_000, 20_000_000):
            with self.subTest(length=length):
                shutil.copy(support.MODEL, self.path)
                process, first = self.start("--ram-budget", "min")
                os.truncate(self.path, length)
                rest, stderr = process.communicate(timeout=support.HANG_SECONDS)
                self.assertEqual(process.returncode, support.FAILED, stderr)
                message = stderr.decode()[stderr.decode().find("error: "):]
                self.assertIn(str(self.path), message)
                self.assertRegex(message, r"\d{4,}", "no offset or size")
                self.assertTrue(self.expected().startswith((first + rest).decode().rstrip("\n")))

    def test_truncated_while_resident(self):
        process, first = self.start("--mode", "resident", "--exact")
        os.truncate(self.path, 1_000_000)
        rest, stderr = process.communicate(timeout=support.HANG_SECONDS)
        # llama.cpp keeps such a file mapped, so that pages go missing; all may have been touched.
        self.assertIn(process.returncode, (support.DONE, support.FAILED), stderr)
        if process.returncode == support.FAILED:
            self.assertIn(f"error: {self.path}", stderr.decode())
        self.assertTrue(self.expected().startswith((first + rest).decode().rstrip("\n")))

    def test_deleted_while_streaming(self):
        process, first = self.start("--ram-budget", "min")
        self.path.unlink()
        rest, stderr = process.communicate(timeout=support.HANG_SECONDS)
        self.assertEqual(process.returncode, support.DONE, stderr)
        self.assertEqual((first + rest).decode(), self.expected() + "\n")


if __name__ == "__main__":
    unittest.main()
