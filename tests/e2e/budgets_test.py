"""Budgets and modes: nonsense is a usage error, too little is refused with numbers and a way out."""

import re
import shutil
import unittest

import support

NONSENSE = ["0", "-1", "NaN", "nan%", "inf%", "1e99", "12Q", "0%", "-5%", "abc", "", "8 apples",
            "99999999999G", "18446744073709551616"]


class Budgets(support.TestCase):
    def run_with(self, *words, model=support.MODEL):
        return support.hypura("run", model, "-p", "hi", "-n", 2, "-t", 1, *words)

    def test_nonsense(self):
        for budget in NONSENSE:
            with self.subTest(budget=budget):
                outcome = self.run_with("--ram-budget", budget)
                self.assert_error(outcome, support.USAGE)
                self.assertIn("--ram-budget", outcome.stderr)

    def test_nonsense_for_a_gpu(self):
        for budget in ("-1", "NaN", "50%", "12Q", "min", "", "99999999999G"):
            with self.subTest(budget=budget):
                outcome = self.run_with("--gpu-budget", budget)
                self.assert_error(outcome, support.USAGE)
                self.assertIn("--gpu-budget", outcome.stderr)

    def test_a_gpu_that_is_not_there(self):
        outcome = self.run_with("--gpu-budget", "8G")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertIn("--gpu-budget 8.0 GiB: there is no GPU with memory of its own", outcome.stderr)
        self.assertEqual(self.run_with("--gpu-budget", "0").returncode, 0)

    def test_below_the_minimum(self):
        for budget in ("1", "10M", "1%"):
            with self.subTest(budget=budget):
                outcome = self.run_with("--ram-budget", budget)
                self.assert_error(outcome, support.DOES_NOT_FIT)
                self.assertRegex(outcome.stderr, r"needs [\d.]+ MiB of RAM, budget is [\d.]+ \w*B")
                self.assertRegex(outcome.stderr, r"why: .*weights.*KV")
                self.assertIn("try: ", outcome.stderr)

    def test_the_minimum_is_the_least_that_works(self):
        least = support.greedy("-t", 1, "--ram-budget", "min", count=2)["budgets"]["ram_bytes"]
        self.assertEqual(self.run_with("--ram-budget", least).returncode, support.DONE)
        self.assert_error(self.run_with("--ram-budget", least - 1), support.DOES_NOT_FIT)

    def test_resident_does_not_fit(self):
        outcome = self.run_with("--mode", "resident", "--ram-budget", "30M")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertEqual(len(re.findall(r"[\d.]+ MiB", outcome.stderr)), 3, str(outcome))

    def test_a_context_beyond_the_budget(self):
        outcome = self.run_with("--ctx", 100000, "--ram-budget", "64M")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertIn("--ctx", outcome.stderr)

    def test_a_context_beyond_any_machine(self):
        outcome = support.hypura("run", support.MODEL, "-p", "hi", "-n", 2, "--ctx", 1000000000,
                                 timeout=20)
        self.assert_error(outcome, support.USAGE, support.DOES_NOT_FIT)

    def test_modes_that_the_model_cannot_have(self):
        self.assert_error(self.run_with("--mode", "dense"), support.USAGE)
        self.assert_error(self.run_with("--mode", "nonsense"), support.USAGE)

    def test_experts_of_a_dense_model(self):
        models = support.architectures()
        if models is None:
            self.skipTest("llama.cpp's test-llama-archs is not built")
        self.addCleanup(shutil.rmtree, models)
        outcome = self.run_with("--mode", "experts", model=models / "llama-dense.gguf")
        self.assert_error(outcome, support.USAGE)
        self.assertIn("no experts", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
