"""Ctrl-C ends the run soon, keeps what was said, and exits with 130."""

import signal
import time
import unittest

import support

RUN = ["run", support.MODEL, "-p", support.PROMPT, "-n", 900, "--temp", 0, "-t", 1, "--ignore-eos"]
SOON_SECONDS = 2


class Interrupt(support.TestCase):
    def start(self, *words):
        process = support.start(*words)
        self.addCleanup(process.kill)
        return process

    def assert_ends_soon(self, process):
        begin = time.monotonic()
        stdout, stderr = process.communicate(timeout=support.HANG_SECONDS)
        self.assertLess(time.monotonic() - begin, SOON_SECONDS)
        self.assertNotIn(b"error", stderr)
        return stdout.decode(), stderr.decode()

    def test_while_generating(self):
        expected = support.greedy("-t", 1, "--ignore-eos", "--mode", "resident", "--exact", count=900)
        for words in (["--ram-budget", "min"], ["--mode", "resident", "--exact", "-ub", "512"]):
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(words=words, signal=number):
                    process = self.start(*RUN, *words)
                    first = support.read_first(process, 20).decode()
                    process.send_signal(number)
                    rest, summary = self.assert_ends_soon(process)
                    self.assertEqual(process.returncode, support.INTERRUPTED)
                    self.assertTrue(expected["text"].startswith((first + rest).rstrip("\n")))
                    self.assertIn("tok/s", summary)

    def test_json_has_what_was_generated(self):
        process = self.start(*RUN, "--ram-budget", "min", "--json")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        stdout, _ = self.assert_ends_soon(process)
        self.assertEqual(process.returncode, support.INTERRUPTED)
        answer = support.Outcome([], 0, stdout.encode(), b"").json()
        self.assertEqual(answer["stop"], "interrupted")
        self.assertEqual(answer["tokens_generated"], len(answer["token_ids"]))

    def test_in_a_long_prompt(self):
        prompt = self.file("prompt.txt", b"word " * 1000)
        process = self.start("run", support.MODEL, "-f", prompt, "-t", 1, "-ub", 1, "--ctx", 2048,
                             "--ram-budget", "min", "-n", 1)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        self.assert_ends_soon(process)
        self.assertEqual(process.returncode, support.INTERRUPTED)

    def test_twice(self):
        process = self.start(*RUN, "--ram-budget", "min")
        support.read_first(process, 20)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        self.assert_ends_soon(process)
        self.assertEqual(process.returncode, support.INTERRUPTED)

    def test_while_loading(self):
        codes = []
        for milliseconds in range(0, 100, 10):
            process = self.start(*RUN, "--ram-budget", "1G")
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGINT)
            self.assert_ends_soon(process)
            codes.append(process.returncode)
        # Before the program's handler is there, the signal ends it, as it would any other.
        self.assertLessEqual(set(codes), {support.INTERRUPTED, -signal.SIGINT})
        self.assertIn(support.INTERRUPTED, codes)


if __name__ == "__main__":
    unittest.main()
