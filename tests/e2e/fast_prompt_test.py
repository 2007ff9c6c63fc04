"""--fast-prompt: weights that stay are repacked, within the budget; it says that bits differ."""

import os
import subprocess
import unittest

import support

MAKE_MODEL = os.environ["HYPURA_MAKE_MODEL"]
LONG_PROMPT = (support.REPO / "LICENSE").read_text()
SHAPE = ["--arch", "llama", "--layers", "6", "--embd", "512", "--ff", "1024", "--heads", "8",
         "--kv-heads", "4", "--vocab", "1024"]


class FastPrompt(support.TestCase):
    def dense(self, quant="q4_k_m"):
        path = self.folder / f"{quant}.gguf"
        subprocess.run([MAKE_MODEL, *SHAPE, "--quant", quant, "--out", path], check=True,
                       capture_output=True, timeout=60)
        return path

    def assert_promise(self, answer):
        promised = answer["budgets"]["ram_bytes"] + answer["process_base_bytes"]
        self.assertLessEqual(answer["rss_peak_bytes"], promised)

    def test_a_mixture_tells_the_same_story(self):
        exact = support.greedy("-t", 1, "--ram-budget", "110%", count=12)
        fast = support.greedy("-t", 1, "--ram-budget", "110%", "--fast-prompt", count=12)
        self.assertEqual(exact["budgets"]["repacked_bytes"], 0)
        self.assertFalse(exact["numerics"]["repack"])
        self.assertGreater(fast["budgets"]["repacked_bytes"], 0)
        self.assertTrue(fast["numerics"]["repack"])
        self.assertEqual(fast["mode"], exact["mode"])
        # The first words leave no near ties to the order of additions.
        self.assertEqual(fast["token_ids"], exact["token_ids"])
        self.assertGreater(fast["budgets"]["expert_slots"], 0)

    def test_a_dense_model(self):
        model = self.dense()
        for share in ("70%", "100%"):
            with self.subTest(share=share):
                words = ["-t", 1, "--ctx", 64, "-ub", 32, "--mode", "dense", "--ram-budget", share]
                exact = support.greedy(*words, model=model, count=4)
                fast = support.greedy(*words, "--fast-prompt", model=model, count=4)
                repacked = fast["budgets"]["repacked_bytes"]
                self.assertGreater(repacked, exact["budgets"]["pinned_bytes"] / 4)
                self.assertLessEqual(repacked, fast["budgets"]["ram_bytes"])
                # What was repacked is read once, while loading.
                self.assertGreater(fast["load_bytes_read"], repacked)
                self.assertGreater(fast["bytes_read"], 0)
                self.assertEqual(len(fast["token_ids"]), 4)
                self.assert_promise(fast)

    def test_every_budget_holds(self):
        for budget in ("min", 24 << 20, "110%", "130%", "150%"):
            with self.subTest(budget=budget):
                self.assert_promise(support.greedy("-t", 2, "--ram-budget", budget, "--fast-prompt",
                                                   prompt=LONG_PROMPT, count=8))

    def test_the_plan_says_that_bits_differ(self):
        outcome = support.hypura("run", support.MODEL, "-p", "hi", "-n", 1, "-t", 1,
                                 "--ram-budget", "110%", "--fast-prompt")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.stderr.count("NOT the bits of streaming"), 1, str(outcome))

    def test_what_cannot_be_repacked_is_said_and_changes_nothing(self):
        model = self.dense("f16")
        words = ["-t", 1, "--ctx", 64, "-ub", 32, "--mode", "dense", "--ram-budget", "80%"]
        exact = support.greedy(*words, model=model, count=4)
        fast = support.greedy(*words, "--fast-prompt", model=model, count=4)
        self.assertEqual(fast["budgets"], exact["budgets"])
        self.assertEqual(fast["numerics"], exact["numerics"])
        self.assertEqual(fast["token_ids"], exact["token_ids"])
        outcome = support.hypura("run", model, "-p", "hi", "-n", 1, *words, "--fast-prompt")
        self.assertIn("--fast-prompt changes nothing", outcome.stderr)

    def test_a_resident_model_is_as_always(self):
        plain = support.greedy("-t", 1, count=8)
        fast = support.greedy("-t", 1, "--fast-prompt", count=8)
        self.assertEqual(fast["mode"], "resident")
        self.assertEqual(fast["token_ids"], plain["token_ids"])
        self.assertEqual(fast["budgets"]["repacked_bytes"], 0)
        self.assertEqual(fast["numerics"], plain["numerics"])

    def test_contradictions_are_usage_errors(self):
        for words in (["--exact"], ["--mode", "resident", "--exact"], ["--no-repack"]):
            with self.subTest(words=words):
                outcome = support.hypura("run", support.MODEL, "-p", "hi", "--fast-prompt", *words)
                self.assert_error(outcome, support.USAGE)
                self.assertIn("--fast-prompt and " + words[-1], outcome.stderr)

    def test_bench_passes_it_on(self):
        outcome = support.hypura(
            "bench", support.MODEL, "--ram-budget", "110%", "--fast-prompt", "--warm", "--warmup", 0,
            "-n", 4, "--samples", 1, "--drive-bytes", "8M", "--arms", "hypura,mmap", "--json",
            "--", "-t", 1)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        report = outcome.json()
        self.assertTrue(report["settings"]["fast_prompt"])
        repacked = {arm["name"]: arm["samples"][0]["repacked"] for arm in report["arms"]}
        self.assertEqual(repacked, {"hypura": True, "mmap": False})


if __name__ == "__main__":
    unittest.main()
