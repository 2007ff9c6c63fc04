"""Streamed answers are the resident ones, token for token."""

import unittest

import support

# Between the least that works (21.8 MiB) and everything resident, in bytes, sizes and shares.
BUDGETS = ["min", 24 << 20, "26M", "28.5M", "110%", "130%", "150%", "1G"]


class Bits(support.TestCase):
    def assert_same_bits(self, *words, budgets, **prompt):
        reference = support.greedy(*words, "--mode", "resident", "--exact", **prompt)
        self.assertEqual(reference["mode"], "resident")
        for budget in budgets:
            with self.subTest(words=words, budget=budget):
                # --exact, for a budget that turns out to hold everything.
                streamed = support.greedy(*words, "--ram-budget", budget, "--exact", **prompt)
                self.assertEqual(streamed["numerics"], reference["numerics"])
                self.assertEqual(streamed["token_ids"], reference["token_ids"])
                self.assertEqual(streamed["text"], reference["text"])

    def test_every_budget(self):
        self.assert_same_bits("-t", 1, budgets=BUDGETS)

    def test_two_threads(self):
        self.assert_same_bits("-t", 2, budgets=["min", "110%"])

    def test_micro_batches(self):
        prompt = (support.REPO / "LICENSE").read_text()[:900]
        for micro_batch in (1, 7, 64):
            self.assert_same_bits("-t", 1, "-ub", micro_batch, budgets=["min", "100%"],
                                  prompt=prompt, count=16)

    def test_quantized_cache(self):
        self.assert_same_bits("-t", 1, "-ctk", "q8_0", "-ctv", "q8_0", budgets=["min", "110%"])

    def test_no_flash_attention(self):
        self.assert_same_bits("-t", 1, "-fa", "off", budgets=["min"])

    def test_what_streams_is_what_the_budget_leaves(self):
        pinned = [support.greedy("-t", 1, "--ram-budget", budget, count=2)["budgets"]["pinned_bytes"]
                  for budget in ("min", "110%", "1G")]
        self.assertEqual(pinned, sorted(set(pinned)))

    def test_the_budget_min_streams_at_least_half_of_the_experts(self):
        budgets = support.greedy("-t", 1, "--ram-budget", "min", count=2)["budgets"]
        self.assertGreater(budgets["expert_slots"], 0)
        self.assertLessEqual(budgets["expert_slots"], budgets["expert_slices"] / 2)


if __name__ == "__main__":
    unittest.main()
