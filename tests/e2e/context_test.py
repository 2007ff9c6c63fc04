"""The context: what fits into it, what does not, and what happens when it is full."""

import unittest

import support


class Context(support.TestCase):
    def test_a_prompt_longer_than_the_context(self):
        for budget in ("min", "1G"):
            with self.subTest(budget=budget):
                outcome = support.hypura("run", support.MODEL, "-p", "word " * 600, "-n", 4,
                                         "--ctx", 256, "--ram-budget", budget)
                self.assert_error(outcome, support.USAGE)
                self.assertRegex(outcome.stderr, r"error: the prompt has \d+ tokens.*256")
                self.assertIn("try: ", outcome.stderr)

    def test_an_empty_prompt_begins_a_text(self):
        for words in (["-p", ""], []):
            with self.subTest(words=words):
                outcome = support.hypura("run", support.MODEL, *words, "-n", 4, "--temp", 0, "--json")
                self.assertEqual(outcome.returncode, support.DONE, str(outcome))
                self.assertEqual(outcome.json()["tokens_generated"], 4)

    def test_no_tokens_asked(self):
        self.assertEqual(support.greedy(count=0)["token_ids"], [])

    def test_a_full_context_ends_the_answer(self):
        answer = support.greedy("-t", 2, "--ctx", 256, "--ignore-eos", count=400)
        self.assertEqual(answer["stop"], "context_full")
        self.assertGreaterEqual(answer["tokens_generated"] + answer["prompt_tokens"], 256)
        self.assertLess(answer["tokens_generated"], 400)

    def test_shifting_goes_on(self):
        answer = support.greedy("-t", 2, "--ctx", 256, "--ignore-eos", "--context-shift", count=300)
        self.assertEqual(answer["tokens_generated"], 300)

    def test_a_context_beyond_training(self):
        self.assertEqual(support.greedy("--ctx", 2048, count=2)["numerics"]["context"], 2048)


if __name__ == "__main__":
    unittest.main()
