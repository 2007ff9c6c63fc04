"""--draft: the same tokens in fewer passes over the weights, within the same budget."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import support

MAKE_MODEL = os.environ.get("HYPURA_MAKE_MODEL", "")
SPECULATIVE = os.environ.get("HYPURA_SPECULATIVE", "")
# A dense model, and its first two layers, which draft for it: about two of three tokens are right.
SHAPE = ["--arch", "llama", "--layers", 8, "--embd", 256, "--ff", 768, "--heads", 4, "--kv-heads", 2,
         "--quant", "q8_0", "--echo", 2]
RESIDENT = ["--mode", "resident", "--exact"]


def make_model(folder, name, *words, vocabulary=2048):
    path = folder / name
    words = [*SHAPE, "--vocab", vocabulary, *words, "--out", path]
    subprocess.run([MAKE_MODEL, *map(str, words)], check=True, capture_output=True, timeout=120)
    return path


class Draft(support.TestCase):
    @classmethod
    def setUpClass(cls):
        models = Path(tempfile.mkdtemp(prefix="hypura-draft-"))
        cls.addClassCleanup(shutil.rmtree, models, ignore_errors=True)
        cls.model = make_model(models, "model.gguf")
        cls.draft = make_model(models, "draft.gguf", "--truncate", 2)
        cls.other = make_model(models, "other.gguf", "--truncate", 1, vocabulary=4096)

    def run_dense(self, *words, count=48, **kwargs):
        return support.greedy("-t", 1, "--ignore-eos", *words, model=self.model,
                              prompt="the bada of the cica", count=count, **kwargs)

    def assert_same(self, one, other):
        self.assertEqual(one["numerics"], other["numerics"])
        self.assertEqual(one["token_ids"], other["token_ids"])

    # Bits

    def test_streamed_is_resident_on_a_dense_model(self):
        for words in (["--draft-depth", 5], ["--draft-depth", 5, "-ctk", "q8_0", "-ctv", "q8_0"],
                      ["--draft-depth", 16, "-t", 2]):
            with self.subTest(words=words):
                words = ["--draft", self.draft, *words]
                resident = self.run_dense(*words, *RESIDENT)
                streamed = self.run_dense(*words, "--ram-budget", "min")
                self.assertEqual(streamed["mode"], "dense")
                self.assert_same(streamed, resident)
                self.assertEqual(streamed["draft"], resident["draft"])
                self.assertGreater(streamed["draft"]["accepted"], 0)
                self.assertLess(streamed["draft"]["accepted"], streamed["draft"]["drafted"])

    def test_streamed_is_resident_on_experts(self):
        for words in (["--draft", support.MODEL, "--draft-depth", 4],
                      ["--draft", "lookup", "--draft-depth", 6],
                      ["--draft", "lookup", "--draft-depth", 6, "-ctk", "q8_0", "-ctv", "q8_0"]):
            with self.subTest(words=words):
                resident = support.greedy("-t", 1, *words, *RESIDENT, count=96)
                streamed = support.greedy("-t", 1, *words, "--ram-budget", "min", count=96)
                self.assertEqual(streamed["mode"], "mixed")
                self.assert_same(streamed, resident)
                self.assertGreater(streamed["draft"]["accepted"], 0)

    def test_the_text_is_that_of_llama_cpp_with_the_same_draft(self):
        count, prompt = 40, "the bada of the cica"
        done = subprocess.run(
            [SPECULATIVE, "-m", self.model, "-md", self.draft, "--spec-type", "draft-simple",
             "--spec-draft-n-max", "5", "-p", prompt, "-n", str(count), "--temp", "0", "--ignore-eos",
             "-t", "1", "-td", "1", "-c", "1024", "--no-repack", "-fit", "off"],
            capture_output=True, timeout=support.HANG_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        for budget in (["--ram-budget", "min"], RESIDENT):
            ours = self.run_dense("--draft", self.draft, "--draft-depth", 5, "-c", 1024, *budget,
                                  count=count)
            self.assertIn(prompt + ours["text"], done.stdout.decode("utf-8", "replace"))

    def test_a_draft_decides_when_tokens_come_and_not_which(self):
        plain = self.run_dense(*RESIDENT)
        for words in (["--draft", self.draft], ["--draft", "lookup"], ["--draft", self.model]):
            for depth in ("1", "7", "64", "auto"):
                with self.subTest(words=words, depth=depth):
                    drafted = self.run_dense(*words, "--draft-depth", depth, *RESIDENT)
                    self.assert_same(drafted, plain)

    # What it is for

    def test_fewer_passes_read_less(self):
        plain = self.run_dense("--ram-budget", "min")
        drafted = self.run_dense("--draft", self.model, "--draft-depth", 7, "--ram-budget", "min")
        # Not all is accepted: the draft reads one token at a time, and adds up in another order.
        self.assertLessEqual(drafted["draft"]["passes"], 12)
        self.assertLess(drafted["decode"]["bytes_read"], plain["decode"]["bytes_read"] / 3)

    def test_figures_agree_with_each_other(self):
        answer = self.run_dense("--draft", self.draft, "--draft-depth", 5, "--ram-budget", "min")
        draft = answer["draft"]
        self.assertEqual(draft["model"], str(self.draft))
        self.assertAlmostEqual(draft["acceptance"], draft["accepted"] / draft["drafted"])
        self.assertAlmostEqual(draft["mean_depth"], draft["drafted"] / draft["passes"])
        self.assertLessEqual(draft["mean_depth"], 5)
        # Every token behind the first comes with a pass or is accepted; the last one needs neither.
        self.assertGreaterEqual(draft["passes"] + draft["accepted"], answer["tokens_generated"] - 1)
        self.assertIsNone(self.run_dense("--ram-budget", "min", count=2)["draft"])

    def test_the_budget_holds_the_draft_too(self):
        words = ["--draft", self.draft, "--ram-budget", "min"]
        answer = self.run_dense(*words)
        budgets = answer["budgets"]
        self.assertGreater(budgets["draft_bytes"], self.draft.stat().st_size / 2)
        self.assertLess(budgets["draft_bytes"], budgets["fixed_bytes"])
        self.assertLessEqual(answer["rss_peak_bytes"],
                             budgets["ram_bytes"] + answer["process_base_bytes"])
        plain = self.run_dense("--ram-budget", "min")["budgets"]["ram_bytes"]
        self.assertGreaterEqual(budgets["ram_bytes"], plain + self.draft.stat().st_size / 2)
        outcome = support.hypura("run", self.model, "-p", "a", "-n", 1, "-t", 1,
                                 *words[:2], "--ram-budget", plain)
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertIn("draft model", outcome.stderr)

    def test_the_plan_and_the_summary_tell(self):
        outcome = support.hypura("run", self.model, "-p", "the", "-n", 16, "-t", 1, "--temp", 0,
                                 "--draft", self.draft, "--ram-budget", "min")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertRegex(outcome.stderr, r"RAM +[\d.]+ MiB  draft model .*draft\.gguf")
        self.assertRegex(outcome.stderr, r"; draft \d+ % of \d+ accepted")

    # The contract of an answer

    def test_every_length_is_exact(self):
        longest = self.run_dense("--draft", self.draft, "--draft-depth", 7, *RESIDENT, count=12)
        for count in (1, 2, 3, 8, 9, 11):
            answer = self.run_dense("--draft", self.draft, "--draft-depth", 7, *RESIDENT, count=count)
            self.assertEqual(answer["stop"], "length")
            self.assertEqual(answer["token_ids"], longest["token_ids"][:count])

    def test_a_stop_word_inside_of_a_draft(self):
        # The model drafts for itself: whatever stops, stops inside of an accepted draft.
        for words in (["--draft", support.MODEL, "--draft-depth", 16], []):
            answer = support.greedy("-t", 1, "-r", "king", *words, *RESIDENT)
            self.assertEqual(answer["stop"], "stop_word")
            self.assertTrue(answer["text"].endswith("there was a "), answer["text"])

    def test_turns_of_a_conversation(self):
        lines = b"/set verbose on\nOnce upon a time\nand then\nthe king of the land\nand then\n"
        run = ["run", support.MODEL, "-i", "-n", 12, "--temp", 0, "-t", 1]
        for draft in ("lookup", support.MODEL):
            words = [*run, "--draft", draft, "--draft-depth", 3]
            resident = support.hypura(*words, *RESIDENT, stdin=lines)
            self.assertEqual(resident.stderr.count("12 tokens at "), 4, str(resident))
            streamed = support.hypura(*words, "--ram-budget", "min", stdin=lines)
            self.assertEqual(streamed.stdout, resident.stdout, str(streamed))

    def test_a_context_that_shifts_and_one_that_is_full(self):
        for words in (["--draft", "lookup"], ["--draft", support.MODEL, "--draft-depth", 7]):
            shifted = support.greedy("-t", 1, "-c", 256, "--context-shift", "--ignore-eos", *words,
                                     "--ram-budget", "min", count=400)
            self.assertEqual(shifted["tokens_generated"], 400)
            full = support.greedy("-t", 1, "-c", 256, "--ignore-eos", *words, *RESIDENT, count=400)
            self.assertEqual(full["stop"], "context_full")
            self.assertEqual(full["tokens_generated"] + full["prompt_tokens"], 257)

    def test_an_interrupt(self):
        process = support.start("run", support.MODEL, "-p", support.PROMPT, "-n", -1, "--ignore-eos",
                                "--context-shift", "-t", 1, "--draft", support.MODEL)
        self.addCleanup(process.kill)
        support.read_first(process, 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, support.INTERRUPTED, err)
        self.assertIn(b"; draft ", err)

    # What cannot draft

    def refused(self, draft, *codes, model=None, depth=()):
        outcome = support.hypura("run", model or self.model, "-p", "hi", "-n", 2, "-t", 1,
                                 "--draft", draft, *depth, timeout=60)
        self.assert_error(outcome, *codes)
        self.assertIn("--draft", outcome.stderr)
        self.assertIn("  try: ", outcome.stderr)
        return outcome.stderr

    def test_drafts_that_are_none(self):
        self.refused(self.folder / "missing.gguf", support.FAILED)
        self.refused(self.file("text.gguf", b"not a model"), support.INVALID_MODEL)
        self.assertIn("4096 tokens", self.refused(self.other, support.USAGE))
        self.assertIn("vocabulary", self.refused(support.MODEL, support.USAGE))

    def test_depths(self):
        for depth in ("0", "65", "x", "-1", "2.5"):
            outcome = support.hypura("run", self.model, "-p", "a", "--draft", "lookup", "--draft-depth",
                                     depth)
            self.assert_error(outcome, support.USAGE)
        self.assert_error(support.hypura("run", self.model, "-p", "a", "--draft-depth", 4),
                          support.USAGE)

    def test_trace_does_not_draft(self):
        outcome = support.hypura("trace", support.MODEL, "-p", "a", "-o", self.folder / "x.csv",
                                 "--draft", "lookup")
        self.assert_error(outcome, support.USAGE)

    def test_models_that_cannot_go_back(self):
        models = support.architectures()
        if models is None:
            self.skipTest("llama.cpp's test-llama-archs is not built")
        self.addCleanup(shutil.rmtree, models)
        for name in ("mamba-dense.gguf", "falcon-h1-dense.gguf"):
            with self.subTest(name=name):
                self.refused("lookup", support.USAGE, model=models / name)
                self.refused(models / name, support.USAGE, model=models / "llama-dense.gguf")


if __name__ == "__main__":
    unittest.main()
