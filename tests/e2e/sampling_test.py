"""Sampling: grammars bind, stop words stop, seeds repeat; and what an adapter or grammar breaks."""

import json
import unittest

import support


class Sampling(support.TestCase):
    def answer(self, *words, budget="min"):
        outcome = support.hypura("run", support.MODEL, "-p", support.PROMPT, "-t", 1, "--json",
                                 "--ram-budget", budget, *words)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome.json()

    def test_grammar(self):
        answer = self.answer("-n", 60, "--grammar", 'root ::= ("yes" | "no") "!"')
        self.assertIn(answer["text"], ("yes!", "no!"))
        self.assertEqual(answer["stop"], "end_of_text")

    def test_json_schema(self):
        schema = {"type": "object", "required": ["a"], "additionalProperties": False,
                  "properties": {"a": {"enum": ["red", "green"]}}}
        answer = self.answer("-n", 100, "--temp", 0, "--json-schema", json.dumps(schema))
        self.assertIn(json.loads(answer["text"])["a"], ("red", "green"))

    def test_stop_word(self):
        answer = self.answer("-n", 64, "--temp", 0, "-r", "daughter")
        self.assertEqual(answer["stop"], "stop_word")
        self.assertEqual(answer["text"], " there was a king who had a ")

    def test_seeds(self):
        texts = [self.answer("-n", 24, "--temp", 1.0, "-s", seed, budget=budget)["token_ids"]
                 for seed, budget in ((5, "min"), (5, "min"), (5, "110%"), (6, "min"))]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(texts[0], texts[2])
        self.assertNotEqual(texts[0], texts[3])

    def test_a_broken_grammar(self):
        for grammar in ("root ::= (", "root ::= nothere"):
            with self.subTest(grammar=grammar):
                outcome = support.hypura("run", support.MODEL, "-p", "hi", "-n", 2, "--grammar", grammar)
                self.assert_error(outcome, support.USAGE)

    def test_a_broken_adapter(self):
        broken = {"text": b"not an adapter", "empty": b"", "cut": support.MODEL.read_bytes()[:1000],
                  "model": support.MODEL.read_bytes()}
        for name, content in broken.items():
            with self.subTest(name=name):
                path = self.file(name + ".gguf", content)
                outcome = support.hypura("run", support.MODEL, "-p", "hi", "-n", 2, "--lora", path,
                                         "--ram-budget", "min")
                self.assert_error(outcome, support.INVALID_MODEL)
                self.assertIn(str(path), outcome.stderr)
        outcome = support.hypura("run", support.MODEL, "-p", "hi", "--lora", "/nonexistent.gguf")
        self.assert_error(outcome, support.FAILED, support.INVALID_MODEL)
        self.assertIn("/nonexistent.gguf", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
