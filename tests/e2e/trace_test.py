"""`trace` writes down every routing once, changes nothing else, and says so when it cannot write."""

import csv
import resource
import signal
import unittest

import support

LAYERS, EXPERTS, CHOICES = 6, 16, 4


def records(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


class Trace(support.TestCase):
    def trace(self, *words, output=None, **kwargs):
        return support.hypura("trace", support.MODEL, "-t", 1, "-o",
                              output or self.folder / "trace.csv", *words, **kwargs)

    def traced(self, *words, output=None):
        """The object that a greedy traced run prints."""
        outcome = self.trace("-p", support.PROMPT, "-n", 24, "--temp", 0, "--json", *words,
                             output=output)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.stderr, "")
        return outcome.json()

    def test_the_answer_is_that_of_an_untraced_run(self):
        reference = support.greedy("-t", 1, "--mode", "resident", "--exact", count=24)
        for budget in ("min", "110%", "1G"):
            with self.subTest(budget=budget):
                answer = self.traced("--ram-budget", budget)
                self.assertEqual(answer["token_ids"], reference["token_ids"])
                self.assertEqual(answer["numerics"], reference["numerics"])

    def test_every_routing_once(self):
        # The last layer computes only the token of the prompt whose logits are wanted. The last
        # token that is generated is not computed.
        answer = self.traced()
        prompt, decoded = answer["prompt_tokens"], answer["tokens_generated"] - 1
        lines = records(self.folder / "trace.csv")
        self.assertEqual(len(lines), CHOICES * (prompt * (LAYERS - 1) + 1 + decoded * LAYERS))
        keys = [tuple(int(line[name]) for name in ("turn", "step", "layer", "slot")) for line in lines]
        self.assertEqual(len(set(keys)), len(keys))
        self.assertEqual({key[1] for key in keys}, set(range(prompt + decoded)))
        for line in lines:
            self.assertLess(int(line["expert"]), EXPERTS)
            self.assertEqual(int(line["phase"]), int(line["step"]) >= prompt)

    def test_micro_batches_and_budgets_give_the_same_trace(self):
        traces = set()
        for words in ([], [], ["--ram-budget", "min"], ["--ram-budget", "110%"]):
            output = self.folder / "again.csv"
            self.traced(*words, output=output)
            traces.add(output.read_text())
        self.assertEqual(len(traces), 1)
        self.traced("-ub", 2, output=output)
        steps = {(line["step"], line["layer"]) for line in records(output) if line["phase"] == "0"}
        # Two, two and one token; the last layer runs for the last of them.
        self.assertEqual(len(steps), 5 * (LAYERS - 1) + 1)

    def test_a_text_that_is_followed_is_decoded_in_turns(self):
        prompt = self.file("text.txt", (support.REPO / "LICENSE").read_bytes())
        outcome = self.trace("-f", prompt, "--follow", "--ctx", 40, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        answer = outcome.json()
        self.assertEqual(answer["token_ids"], [])
        lines = records(self.folder / "trace.csv")
        self.assertEqual(len(lines), answer["prompt_tokens"] * LAYERS * CHOICES)
        self.assertEqual({line["phase"] for line in lines}, {"1"})
        window = answer["numerics"]["context"]
        self.assertGreater(answer["prompt_tokens"], window)
        self.assertEqual({int(line["turn"]) for line in lines},
                         set(range(-(-answer["prompt_tokens"] // window))))
        self.assertLess(max(int(line["step"]) for line in lines), window)

    def test_a_file_that_cannot_be_written(self):
        for output in ("/dev/full", self.folder / "none" / "trace.csv", self.folder):
            with self.subTest(output=output):
                outcome = self.trace("-p", "hi", "-n", 4, "--json", output=output)
                self.assert_error(outcome, support.FAILED)
                self.assertIn(str(output), outcome.stderr)

    def test_a_disk_that_fills_up(self):
        # A limit on the file's size stands for the disk: the header fits, the records do not.
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        outcome = self.trace("-p", support.PROMPT, "-n", 40, "--json", preexec_fn=limit)
        self.assert_error(outcome, support.FAILED)
        self.assertIn("trace.csv", outcome.stderr)
        self.assertIn("File too large", outcome.stderr)

    def test_what_makes_no_sense(self):
        for words in (["-i"], ["--mode", "resident"], ["--mode", "dense"], ["--follow", "-n", 4],
                      ["--folow"], ["-n", "x"]):
            with self.subTest(words=words):
                outcome = self.trace(*words)
                self.assert_error(outcome, support.USAGE)
        self.assert_error(support.hypura("trace", support.MODEL, "-p", "hi"), support.USAGE)
        outcome = support.hypura("tarce", support.MODEL)
        self.assertIn("did you mean trace?", outcome.stderr)

    def test_help(self):
        outcome = support.hypura("trace", "--help")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("--follow", outcome.stdout)
        self.assertNotIn("--follow", support.hypura("run", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
