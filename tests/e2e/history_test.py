"""Past runs: each is held against its prediction, and the next predictions come nearer, unless --no-history."""

import json
import math
import os
import statistics
import tempfile
import unittest
from pathlib import Path

import support

RUNS = 6
TOKENS = 24
PROMPT = "Once upon a time there was an old king who lived in a castle by the sea with his daughter. " * 3
WORDS = ("--ram-budget", "1G", "--ctx", 512)
ANSWER = ("-p", PROMPT, "-n", TOKENS, "--temp", 0, "--ignore-eos", "--json")


def wrong(profile, factor):
    """A machine whose drive, memory and processor are `factor` times as fast."""
    for sample in profile["compute"]:
        for key in ("token_gbps", "batch_gbps", "expert_gbps"):
            sample[key] *= factor
    for sample in profile["drive"]["samples"]:
        sample["gbps"] *= factor
        sample["latency_us"] /= factor
    for key in ("sequential_gbps", "scattered_gbps", "cached_gbps", "paged_gbps"):
        profile["drive"][key] *= factor
    profile["memory"]["read_gbps"] *= factor
    profile["graph_overhead_us"] /= factor
    for node in profile.get("nodes", []):
        node["node_us"] /= factor
    return profile


class History(support.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as cache:
            env = dict(os.environ, XDG_CACHE_HOME=cache)
            outcome = support.hypura("profile", support.MODEL, env=env)
            assert outcome.returncode == support.DONE, str(outcome)
            [kept] = (Path(cache) / "hypura" / "profiles").glob("*.json")
            cls.profile_name, cls.profile_text = kept.name, kept.read_text()

    def setUp(self):
        super().setUp()
        self.env = dict(os.environ, XDG_CACHE_HOME=str(self.folder))
        self.history = self.folder / "hypura" / "history" / "runs.json"
        self.keep(json.loads(self.profile_text))

    def keep(self, profile):
        path = self.folder / "hypura" / "profiles" / self.profile_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(profile))

    def done(self, *words):
        outcome = support.hypura(*words, env=self.env)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome

    def run_model(self, *words):
        return self.done("run", support.MODEL, *WORDS, *ANSWER, *words).json()

    def plan(self, *words):
        return self.done("plan", support.MODEL, *WORDS, "--json", *words).json()

    def kept(self):
        return json.loads(self.history.read_text())["runs"]

    def test_a_wrong_profile_is_made_good_by_past_runs(self):
        true = self.run_model("--no-history")
        self.assertFalse(self.history.parent.exists(), "--no-history left a file")
        # Three times as wrong as the true one, to the side that it is wrong to.
        factor = 3 if true["predicted_decode_tps"] > true["decode_tps"] else 1 / 3
        self.keep(wrong(json.loads(self.profile_text), factor))

        runs = [self.run_model() for _ in range(RUNS)]
        first, last = runs[0], runs[-1]
        self.assertEqual([run["history"]["decode"]["runs"] for run in runs], list(range(RUNS)))
        self.assertTrue(all(run["history"]["kept"] for run in runs))
        self.assertEqual(self.kept(), [run["history"]["record"] for run in runs])
        self.assertEqual(first["predicted_decode_tps"], first["history"]["decode"]["uncalibrated_tps"])
        self.assertIsNone(first["history"]["decode"]["median_error"])
        for phase in ("decode", "prefill"):
            with self.subTest(phase=phase):
                # Of the runs that it learnt from: a busy machine is slow in one and fast in another.
                actual = statistics.median(run[f"{phase}_tps"] for run in runs[:-1])
                past = last["history"][phase]
                self.assertAlmostEqual(past["uncalibrated_tps"] / first[f"predicted_{phase}_tps"], 1, 6)
                self.assertAlmostEqual(past["uncalibrated_tps"] * past["factor"],
                                       last[f"predicted_{phase}_tps"], 4)
                before = abs(math.log(past["uncalibrated_tps"] / actual))
                after = abs(math.log(last[f"predicted_{phase}_tps"] / actual))
                self.assertLess(after, max(0.3 * before, before - math.log(3.99)))
                self.assertGreater(past["median_error"], 0)

        plain, corrected = self.plan("--no-history"), self.plan()
        self.assertEqual(plain["history"]["decode"]["runs"], 0)
        self.assertEqual(corrected["history"]["decode"]["runs"], RUNS)
        self.assertAlmostEqual(corrected["history"]["decode"]["uncalibrated_tps"],
                               plain["predicted_decode_tps"]["middle"], 4)
        self.assertAlmostEqual(corrected["predicted_decode_tps"]["middle"],
                               plain["predicted_decode_tps"]["middle"]
                               * corrected["history"]["decode"]["factor"], 4)
        self.assertIn(f"decode: {RUNS} past runs, median error",
                      self.done("plan", support.MODEL, *WORDS).stdout)

        before = self.history.read_bytes()
        without = self.run_model("--no-history")
        self.assertEqual(without["predicted_decode_tps"], without["history"]["decode"]["uncalibrated_tps"])
        self.assertFalse(without["history"]["kept"])
        self.assertEqual(self.history.read_bytes(), before)
        text = self.done("run", support.MODEL, *WORDS, *ANSWER[:-1]).stderr
        self.assertRegex(text, rf"predicted .* {RUNS} past runs, median error \d+ %\)")

        line = self.done("doctor", support.MODEL).stdout
        self.assertRegex(line, rf"history decode: {RUNS + 1} past runs, median error \d+ %, .* in "
                               rf"{self.history}\n")
        told = self.done("doctor", support.MODEL, "--json").json()["history"]
        self.assertEqual((told["path"], told["decode"]["runs"]), (str(self.history), RUNS + 1))

        # A machine that is measured anew begins anew.
        self.keep(json.loads(self.profile_text))
        self.assertEqual(self.plan()["history"]["decode"]["runs"], 0)
        self.assertIn("history none of this machine, in", self.done("doctor", support.MODEL).stdout)

    def test_runs_that_say_little_are_not_kept(self):
        short = ("-p", "Hi", "-n", 3, "--temp", 0, "--json")
        drafted = (*ANSWER, "--draft", "lookup")
        for words in (short, drafted):
            told = self.done("run", support.MODEL, *WORDS, *words).json()["history"]
            self.assertTrue(told is None or told["record"] is None, told)
        self.done("trace", support.MODEL, "-o", self.folder / "t.csv", "--ram-budget", "40M", "--ctx",
                  512, *ANSWER)
        self.done("bench", support.MODEL, "--ram-budget", "40M", "--warm", "--warmup", 0, "--samples",
                  1, "-n", TOKENS, "--arms", "hypura,resident", "--drive-bytes", "8M", "-p", PROMPT,
                  "--limit", "off")
        self.assertFalse(self.history.exists())

    def test_a_file_that_is_no_history_is_said_once_and_replaced(self):
        self.history.parent.mkdir(parents=True)
        self.history.write_text('{"schema": 9, "kind": "hypura history", "runs": []}')
        planned = self.done("plan", support.MODEL, *WORDS)
        self.assertEqual(planned.stderr.count("its schema is not 1"), 1, planned.stderr)
        self.assertNotIn("history", self.done("plan", support.MODEL, *WORDS, "--no-history").stderr)
        outcome = self.done("run", support.MODEL, *WORDS, *ANSWER)
        self.assertEqual(outcome.stderr.count("its schema is not 1"), 1, outcome.stderr)
        self.assertEqual(len(self.kept()), 1)

    def test_a_history_that_cannot_be_kept_is_a_warning(self):
        self.history.parent.parent.mkdir(exist_ok=True)
        self.history.parent.write_text("a file where the folder should be")
        outcome = self.done("run", support.MODEL, *WORDS, *ANSWER)
        self.assertIn(f"warning: cannot write the history {self.history}: ", outcome.stderr)
        self.assertFalse(outcome.json()["history"]["kept"])

    def test_runs_at_the_same_time_are_all_kept(self):
        words = ("run", support.MODEL, *WORDS, *ANSWER, "-t", 1)
        os.environ["XDG_CACHE_HOME"], before = str(self.folder), os.environ["XDG_CACHE_HOME"]
        self.addCleanup(os.environ.__setitem__, "XDG_CACHE_HOME", before)
        processes = [support.start(*words) for _ in range(3)]
        for process in processes:
            process.communicate(timeout=support.HANG_SECONDS)
            self.assertEqual(process.returncode, support.DONE)
        self.assertEqual(len(self.kept()), 3)
        self.assertEqual([file.name for file in self.history.parent.iterdir()], ["runs.json"])


if __name__ == "__main__":
    unittest.main()
