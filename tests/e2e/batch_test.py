"""`hypura batch`: a file of requests, answered many at a time, gone on with after a stop."""

import json
import signal
import unittest

import support

PROMPTS = ["Once upon a time", "The king said", "A little girl", "In the forest"]
FEW = ["--ctx", 128, "--ram-budget", "min"]


def request(custom_id, prompt, count=16, **body):
    body = {"model": str(support.MODEL), "prompt": prompt, "max_tokens": count, "temperature": 0,
            **body}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/completions", "body": body}


class Batch(support.TestCase):
    def setUp(self):
        super().setUp()
        self.input = self.folder / "in.jsonl"
        self.output = self.folder / "out.jsonl"

    def write(self, *requests):
        self.input.write_text("".join(json.dumps(one) + "\n" for one in requests))

    def batch(self, *words):
        return support.hypura("batch", self.input, "-o", self.output, *FEW, *words)

    def answers(self):
        lines = [json.loads(line) for line in self.output.read_text().splitlines()]
        return {line["custom_id"]: line["response"] for line in lines}

    def test_one_at_a_time_each_is_what_run_says(self):
        self.write(*(request(prompt, prompt) for prompt in PROMPTS))
        outcome = self.batch("--parallel", 1)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.stdout, "")
        self.assertIn("4 of 4 answered, 0 failed", outcome.stderr)
        answers = self.answers()
        for prompt in PROMPTS:
            self.assertEqual(answers[prompt]["status_code"], 200)
            expected = support.greedy(*FEW, prompt=prompt, count=16)
            self.assertEqual(answers[prompt]["body"]["choices"][0]["text"], expected["text"])

    def test_many_at_a_time_are_all_answered_and_not_mixed_up(self):
        numbers = range(40)
        self.write(*(request(f"r{n}", PROMPTS[n % 4], count=4) for n in numbers))
        outcome = self.batch("--parallel", 8)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        texts = {n: self.answers()[f"r{n}"]["body"]["choices"][0]["text"] for n in numbers}
        for n in numbers:
            self.assertEqual(texts[n], texts[n % 4])
        self.assertEqual(len(set(texts.values())), 4)

    def test_what_failed_is_said_and_asked_again(self):
        bad = request("bad", "x", messages=3)
        bad["url"] = "/v1/chat/completions"
        self.write(request("good", PROMPTS[0]), bad)
        outcome = self.batch()
        self.assertEqual(outcome.returncode, support.FAILED)
        self.assertIn("1 of 2 requests failed", outcome.stderr)
        self.assertGreaterEqual(self.answers()["bad"]["status_code"], 400)
        first = self.answers()["good"]

        self.write(request("good", PROMPTS[0]), request("bad", PROMPTS[1]))
        outcome = self.batch()
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(self.answers()["bad"]["status_code"], 200)
        self.assertEqual(self.answers()["good"], first)

    def test_a_stopped_one_goes_on(self):
        self.write(*(request(f"r{n}", PROMPTS[n % 4], count=60) for n in range(60)))
        process = support.start("batch", self.input, "-o", self.output, *FEW, "--parallel", 2)
        self.addCleanup(process.kill)
        while not self.output.exists() or self.output.read_bytes().count(b"\n") < 3:
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=support.HANG_SECONDS)
        self.assertEqual(process.returncode, support.INTERRUPTED)
        before = self.answers()
        self.assertLess(len(before), 60)
        with self.output.open("a") as file:
            file.write('{"id": "batch_req_')  # as a kill in the middle of a line leaves it
        outcome = self.batch("--parallel", 16)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        after = self.answers()
        self.assertEqual(len(after), 60)
        for name, answer in before.items():
            self.assertEqual(after[name], answer)

    def test_bad_input_is_refused_before_anything_is_loaded(self):
        good = json.dumps(request("a", "x"))
        for text, word in (("{", "line 1"), (good + "\n" + good, "came before"),
                           (good.replace("/v1/completions", "/v1/files"), "/v1/files"),
                           (good.replace("POST", "GET"), "POST")):
            with self.subTest(word=word):
                self.input.write_text(text)
                outcome = self.batch()
                self.assertEqual(outcome.returncode, support.USAGE, str(outcome))
                self.assertIn(word, outcome.stderr)
        self.input.write_text(good)
        outcome = support.hypura("batch", self.input, "-o", support.MODEL, *FEW)
        self.assertEqual(outcome.returncode, support.USAGE)
        for words in (["--json"], ["--draft", "lookup"], ["-i"]):
            outcome = support.hypura("batch", self.input, "-o", self.output, *FEW, *words)
            self.assertEqual(outcome.returncode, support.USAGE, words)
        outcome = support.hypura("batch", self.folder / "none", "-o", self.output)
        self.assertEqual(outcome.returncode, support.FAILED)


if __name__ == "__main__":
    unittest.main()
