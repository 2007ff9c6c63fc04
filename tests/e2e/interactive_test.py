"""`run -i` without a terminal: lines in, answers out; /quit and the end of input end it."""

import re
import signal
import subprocess
import time
import unittest

import support

RUN = ["run", support.MODEL, "-i", "-n", 8, "--temp", 0, "-t", 1]


class Interactive(support.TestCase):
    def chat(self, stdin, *words):
        outcome = support.hypura(*RUN, *words, stdin=stdin)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome

    def test_one_line_is_continued(self):
        expected = support.greedy("-t", 1, "--mode", "resident", "--exact", count=8)["text"]
        outcome = self.chat(b"Once upon a time\n", "--ram-budget", "min")
        self.assertEqual(outcome.stdout, expected + "\n")
        self.assertIn("no chat template", outcome.stderr)

    def test_the_last_line_needs_no_end(self):
        self.assertEqual(self.chat(b"Once upon a time").stdout, self.chat(b"Once upon a time\n").stdout)

    def test_lines_add_to_one_conversation(self):
        both = self.chat(b"Once upon a time\n\nand then\n").stdout.splitlines()
        alone = self.chat(b"and then\n").stdout.splitlines()
        self.assertNotEqual(both[-1], alone[-1])

    def test_quit(self):
        outcome = self.chat(b"/quit\nOnce upon a time\n")
        self.assertEqual(outcome.stdout, "")

    def test_nothing(self):
        self.assertEqual(self.chat(b"").stdout, "")

    def test_a_full_context_is_said(self):
        line = b"Once upon a time and so on\n"
        outcome = support.hypura(*RUN, "--ctx", 256, stdin=b"/set verbose on\n" + line * 40)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(len(re.findall(r"^\d+ tokens at ", outcome.stderr, re.MULTILINE)), 40)
        self.assertRegex(outcome.stderr, r"context of 256 tokens is full: the oldest \d+ turns")

    def test_a_message_that_the_context_cannot_hold(self):
        message = b"Once upon a time and so on " * 60
        outcome = support.hypura(*RUN, "--ctx", 256, stdin=b"Once\n" + message)
        self.assertEqual(outcome.stderr.count("error: "), 1, str(outcome))
        self.assertEqual(outcome.returncode, support.USAGE)
        self.assertIn("--ctx", outcome.stderr)

    def test_streamed_equals_resident(self):
        lines = b"Once upon a time\nand then\nat last\n"
        self.assertEqual(self.chat(lines, "--ram-budget", "min").stdout,
                         self.chat(lines, "--mode", "resident", "--exact").stdout)

    def test_interrupted_while_waiting(self):
        process = support.start(*RUN, stdin=subprocess.PIPE)
        self.addCleanup(process.kill)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(2), (support.DONE, support.INTERRUPTED))
        process.communicate()


if __name__ == "__main__":
    unittest.main()
