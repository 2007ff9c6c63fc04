"""Options: typos get a suggestion, what cannot work is refused with the reason, none is ignored."""

import os
import unittest

import support

TYPOS = {"--ram-bugdet": "--ram-budget", "--tempp": "--temp", "--jsn": "--json", "--cxt": "--ctx"}
REFUSED = [
    "--model x", "--repack", "--warmup", "--load-mode none",
    "--check-tensors", "--numa isolate", "-ot a=CPU", "-ngl 1", "-dev none", "-sm row", "-ts 1",
    "-mg 0", "-cmoe", "-ncmoe 1", "-fit on", "-hf a/b", "-mu http://x/y", "-dr a/b", "-np 2",
    "--backend-sampling", "--control-vector x", "--control-vector-scaled x:1", "-kvo", "-nkvo",
    "--op-offload", "--no-op-offload",
]
ELSEWHERE = ["--perf", "--prompt-cache x", "--grp-attn-n 2", "--cpu-mask 1", "--log-file x"]
NONSENSE = ["-n abc", "-n 99999999999", "-n 4x", "-t abc", "-t 100000", "-b 0", "-b -1", "-ub -1", "-ctk nonsense",
            "-fa nonsense", "--temp", "--ctx 0", "--ctx -1", "--ctx x", "-f /nonexistent/prompt", "--prefetch x", "--mode x",
            "--json-schema {bad", "extra"]


class Options(support.TestCase):
    def run_with(self, *words):
        return support.hypura("run", support.MODEL, "-p", "hi", "-n", 2, *words, timeout=20)

    def test_typos(self):
        for typed, meant in TYPOS.items():
            with self.subTest(typed=typed):
                outcome = self.run_with(typed)
                self.assert_error(outcome, support.USAGE)
                self.assertIn(typed, outcome.stderr)
                self.assertIn(f"did you mean {meant}?", outcome.stderr)

    def test_a_command_that_does_not_exist(self):
        outcome = support.hypura("rnu", support.MODEL)
        self.assert_error(outcome, support.USAGE)
        self.assertIn("did you mean run?", outcome.stderr)

    def test_refused_with_the_reason(self):
        for option in REFUSED:
            with self.subTest(option=option):
                outcome = self.run_with(*option.split())
                self.assert_error(outcome, support.USAGE)
                self.assertRegex(outcome.stderr, r"is refused\n  why: \w+")

    def test_not_here(self):
        for option in ELSEWHERE:
            with self.subTest(option=option):
                outcome = self.run_with(*option.split())
                self.assert_error(outcome, support.USAGE)
                self.assertIn(option.split()[0], outcome.stderr)

    def test_nonsense(self):
        for option in NONSENSE:
            with self.subTest(option=option):
                outcome = self.run_with(*option.split(" "))
                self.assert_error(outcome, support.USAGE)

    def test_no_model(self):
        for words in (["run"], ["run", "-p", "hi"], ["run", "--json"], ["inspect"]):
            with self.subTest(words=words):
                self.assert_error(support.hypura(*words), support.USAGE)

    def test_an_empty_model(self):
        outcome = support.hypura("run", "", "-p", "hi")
        self.assert_error(outcome, support.USAGE)
        self.assertIn("MODEL is empty", outcome.stderr)

    def test_a_prompt_that_is_no_text(self):
        outcome = self.run_with("-f", self.file("prompt", b"Once upon\xf7\xbf\xbf\xbf"))
        self.assert_error(outcome, support.USAGE)
        self.assertIn("at byte 9 of 13 it is not UTF-8", outcome.stderr)

    def test_more_threads_than_cores(self):
        cores = len(os.sched_getaffinity(0))
        # They would take seconds a token: the budget ends it before.
        outcome = self.run_with("-t", 2 * cores, "--ram-budget", "1M")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertIn(f"warning: {2 * cores} threads on {cores} cores", outcome.stderr)

    def test_json_is_not_interactive(self):
        self.assert_error(self.run_with("-i", "--json"), support.USAGE)

    def test_help(self):
        for words in (["--help"], ["help"], ["run", "--help"], ["inspect", "--help"], ["--version"]):
            with self.subTest(words=words):
                outcome = support.hypura(*words)
                self.assertEqual(outcome.returncode, support.DONE, str(outcome))
                self.assertIn("hypura", outcome.stdout)
                self.assertEqual(outcome.stderr, "")


if __name__ == "__main__":
    unittest.main()
