"""The memory promise: a budget holds under a memory limit of budget + process base, without swap."""

import os
import unittest
from pathlib import Path

import support

MEMORY = Path("/sys/fs/cgroup/memory")
MIB = 1 << 20
# Long enough to fill a micro-batch of 512 and to touch all of what is planned for.
LONG_PROMPT = (support.REPO / "LICENSE").read_text()


class ControlGroup:
    """A memory group of version 1; removed with close()."""

    def __init__(self, limit_bytes):
        self.path = MEMORY / f"hypura-e2e-{os.getpid()}-{limit_bytes}"
        self.path.mkdir()
        (self.path / "memory.swappiness").write_text("0")
        (self.path / "memory.limit_in_bytes").write_text(str(limit_bytes))

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def oom_kills(self):
        lines = (self.path / "memory.oom_control").read_text().splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0))

    def close(self):
        self.path.rmdir()


class MemoryLimit(support.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root to limit memory")
        if not (MEMORY / "memory.limit_in_bytes").exists():
            raise unittest.SkipTest("needs the memory controller of cgroup version 1")
        try:
            ControlGroup(64 * MIB).close()
        except OSError as error:
            raise unittest.SkipTest(f"no memory group can be made here: {error}")

    def limited(self, limit_bytes, *words, prompt=LONG_PROMPT):
        group = ControlGroup(limit_bytes)
        try:
            outcome = support.hypura("run", support.MODEL, "-p", prompt, "-n", 32, "--temp", 0,
                                     "-t", 1, "--json", *words, preexec_fn=group.enter)
            self.assertEqual(group.oom_kills(), 0, str(outcome))
        finally:
            group.close()
        return outcome

    def reference(self):
        return support.greedy("-t", 1, "--mode", "resident", "--exact", prompt=LONG_PROMPT, count=32)

    def test_a_budget_holds(self):
        reference = self.reference()["token_ids"]
        for budget in ("min", "26M", "110%", "140%"):
            with self.subTest(budget=budget):
                first = support.greedy("-t", 1, "--ram-budget", budget, count=1)
                promised = first["budgets"]["ram_bytes"] + first["process_base_bytes"]
                outcome = self.limited(promised, "--ram-budget", budget)
                self.assertEqual(outcome.returncode, support.DONE, str(outcome))
                self.assertEqual(outcome.json()["token_ids"], reference)
                self.assertLessEqual(outcome.json()["rss_peak_bytes"], promised)

    def test_repacking_keeps_a_budget_too(self):
        for budget in ("110%", "140%"):
            with self.subTest(budget=budget):
                words = ("--ram-budget", budget, "--fast-prompt")
                first = support.greedy("-t", 1, *words, count=1)
                self.assertGreater(first["budgets"]["repacked_bytes"], 0)
                promised = first["budgets"]["ram_bytes"] + first["process_base_bytes"]
                outcome = self.limited(promised, *words)
                self.assertEqual(outcome.returncode, support.DONE, str(outcome))
                self.assertLessEqual(outcome.json()["rss_peak_bytes"], promised)

    def test_a_budget_holds_with_a_draft(self):
        words = ["--ram-budget", "min", "--draft", support.MODEL, "--draft-depth", 7]
        first = support.greedy("-t", 1, *words, count=1)
        promised = first["budgets"]["ram_bytes"] + first["process_base_bytes"]
        outcome = self.limited(promised, *words)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertGreater(outcome.json()["draft"]["accepted"], 0)

    def test_a_limit_that_is_too_low_is_noticed_by_this_test(self):
        group = ControlGroup(12 * MIB)
        try:
            outcome = support.hypura("run", support.MODEL, "-p", support.PROMPT, "-n", 4, "--json",
                                     "--ram-budget", "min", preexec_fn=group.enter)
            self.assertTrue(outcome.returncode != support.DONE or group.oom_kills() > 0)
        finally:
            group.close()

    def test_auto_obeys_the_limit(self):
        for limit, words, modes in ((64 * MIB, [], ["mapped"]),
                                    (64 * MIB, ["--mode", "experts"], ["experts", "mixed"]),
                                    (180 * MIB, ["--exact"], ["resident"])):
            with self.subTest(limit=limit, words=words):
                outcome = self.limited(limit, *words)
                self.assertEqual(outcome.returncode, support.DONE, str(outcome))
                answer = outcome.json()
                self.assertIn(answer["mode"], modes)
                self.assertLess(answer["budgets"]["ram_bytes"], limit)
                self.assertEqual(answer["token_ids"], self.reference()["token_ids"])

    def test_auto_streams_what_the_page_cache_cannot_hold(self):
        outcome = self.limited(76 * MIB, "--ctx", 6000, "-ub", 64)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn(outcome.json()["mode"], ("experts", "mixed"))
        self.assertGreater(outcome.json()["budgets"]["ram_bytes"], 32 * MIB)


class ProcessBase(support.TestCase):
    def test_the_base_is_small(self):
        metadata = support.hypura("inspect", support.MODEL, "--json").json()["metadata_bytes"]
        for words in (["--ram-budget", "min"], ["--ram-budget", "1G"]):
            with self.subTest(words=words):
                answer = support.greedy("-t", 1, *words, count=2)
                self.assertGreater(answer["process_base_bytes"], MIB)
                self.assertLessEqual(answer["process_base_bytes"], 128 * MIB + 3 * metadata)

    def test_the_peak_is_within_the_promise(self):
        for budget in ("min", "26M", "110%", "1G"):
            with self.subTest(budget=budget):
                answer = support.greedy("-t", 2, "--ram-budget", budget, prompt=LONG_PROMPT, count=8)
                self.assert_promise(answer)

    def test_a_draft_is_counted(self):
        for draft in ("lookup", support.MODEL):
            for words in (["--ram-budget", "min"], ["--ram-budget", "min", "-b", 32, "-ub", 32],
                          ["--mode", "resident", "--exact", "--ram-budget", "128M"]):
                with self.subTest(draft=draft, words=words):
                    self.assert_promise(support.greedy("-t", 1, "--draft", draft, *words,
                                                       prompt=LONG_PROMPT, count=16))

    def test_a_grammar_is_counted(self):
        grammar = self.file("any.gbnf", b"root ::= [a-z ]+")
        schema = '{"type": "object", "properties": {"name": {"type": "string"}}}'
        # Small batches: nothing else is left unused that would hide it.
        for words in (["--grammar-file", grammar], ["--json-schema", schema], []):
            with self.subTest(words=words):
                self.assert_promise(support.greedy(
                    "-t", 1, "-b", 32, "-ub", 32, "--ram-budget", "min", *words,
                    prompt=LONG_PROMPT, count=16))

    def assert_promise(self, answer):
        promised = answer["budgets"]["ram_bytes"] + answer["process_base_bytes"]
        self.assertLessEqual(answer["rss_peak_bytes"], promised)


if __name__ == "__main__":
    unittest.main()
