"""stdout is only the answer; plan and summary go to stderr; a closed or full stdout ends the run."""

import os
import subprocess
import time
import unittest

import support

RUN = ["run", support.MODEL, "-p", support.PROMPT, "--temp", 0, "-t", 1, "--ram-budget", "min"]


class Streams(support.TestCase):
    def test_stdout_is_only_the_answer(self):
        text = support.greedy("-t", 1, "--mode", "resident", "--exact", count=24)["text"]
        outcome = support.hypura(*RUN, "-n", 24)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.stdout, text + "\n")
        for word in ("RAM", "NVMe", "budget", "tok/s", "peak memory"):
            self.assertIn(word, outcome.stderr)

    def test_prompt_from_a_file(self):
        prompt = self.file("prompt.txt", support.PROMPT.encode())
        outcome = support.hypura("run", support.MODEL, "-f", prompt, "-n", 24, "--temp", 0, "-t", 1,
                                 "--mode", "resident", "--exact", "--json")
        expected = support.greedy("-t", 1, "--mode", "resident", "--exact", count=24)
        self.assertEqual(outcome.json()["token_ids"], expected["token_ids"], str(outcome))

    def test_a_reader_that_leaves(self):
        process = support.start(*RUN, "-n", 900)
        self.addCleanup(process.kill)
        support.read_first(process, 10)
        process.stdout.close()
        left = time.monotonic()
        self.assertEqual(process.wait(support.HANG_SECONDS), support.DONE)
        self.assertLess(time.monotonic() - left, 5)
        self.assertNotIn(b"error", process.stderr.read())
        process.stderr.close()

    def test_a_full_device(self):
        for words in ([*RUN, "-n", 4], [*RUN, "-n", 4, "--json"], ["inspect", support.MODEL]):
            with self.subTest(words=words), open("/dev/full", "wb") as full:
                done = subprocess.run(support.command(*words), stdout=full, stderr=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, timeout=support.HANG_SECONDS)
                self.assertEqual(done.returncode, support.FAILED)
                self.assertIn(b"No space left on device", done.stderr)

    def test_no_stdout_at_all(self):
        done = subprocess.run(support.command(*RUN, "-n", 4), stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=support.HANG_SECONDS,
                              preexec_fn=lambda: os.close(1))
        self.assertEqual(done.returncode, support.FAILED)
        self.assertIn(b"standard output", done.stderr)


if __name__ == "__main__":
    unittest.main()
