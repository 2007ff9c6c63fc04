"""Experts read ahead of their router: guesses are made, mostly right, and change no token."""

import os
import shutil
import unittest

import support


class Prefetch(support.TestCase):
    def run_with(self, predictor, **environment):
        return support.greedy("-t", 1, "--mode", "experts", "--ram-budget", "42M", "--prefetch",
                              predictor, env={**os.environ, "XDG_CACHE_HOME": str(self.folder),
                                              **environment})

    def test_predictors(self):
        without = self.run_with("off")
        self.assertEqual(without["prefetch_guesses"], 0)
        for predictor in ("router", "coactivation"):
            with self.subTest(predictor=predictor):
                answer = self.run_with(predictor)
                self.assertEqual(answer["token_ids"], without["token_ids"])
                self.assertGreater(answer["prefetch_guesses"], 20)
                self.assertGreater(answer["prefetch_used"] / answer["prefetch_guesses"], 0.5)

    def test_a_model_without_experts_refuses(self):
        archs = support.architectures()
        if archs is None:
            self.skipTest("test-llama-archs is missing")
        self.addCleanup(shutil.rmtree, archs, ignore_errors=True)
        dense = next(archs.glob("*llama*dense*.gguf"), None) or next(archs.glob("*gpt2*.gguf"))
        for predictor in ("router", "coactivation"):
            outcome = support.hypura("run", dense, "-p", "hi", "-n", 1, "--prefetch", predictor)
            self.assert_error(outcome, support.USAGE)
            self.assertIn("no experts", outcome.stderr)

    def test_every_architecture_with_experts(self):
        """Layers may have other experts than the model states: no crash, the same tokens."""
        archs = support.architectures()
        if archs is None:
            self.skipTest("test-llama-archs is missing")
        self.addCleanup(shutil.rmtree, archs, ignore_errors=True)
        seen = 0
        for model in sorted(archs.glob("*moe*.gguf")):
            ran = [support.hypura("run", model, "-p", "hello there", "-n", 6, "--temp", 0, "-t", 1,
                                  "--mode", "experts", "--ram-budget", "110%", "--ctx", 64,
                                  "--prefetch", predictor, "--json",
                                  env={**os.environ, "XDG_CACHE_HOME": str(self.folder)})
                   for predictor in ("off", "coactivation")]
            self.assertEqual(ran[0].returncode, ran[1].returncode, f"{ran[0]}\n{ran[1]}")
            if ran[0].returncode == support.DONE:
                self.assertEqual(ran[0].json()["token_ids"], ran[1].json()["token_ids"], model.name)
                seen += 1
        self.assertGreater(seen, 10)

    def test_coactivation_is_kept(self):
        first = self.run_with("coactivation")
        files = list((self.folder / "hypura" / "statistics").iterdir())
        self.assertEqual([file.suffix for file in files], [".coactivation"])
        again = self.run_with("coactivation")
        self.assertEqual(again["token_ids"], first["token_ids"])
        self.assertGreater(again["prefetch_guesses"], first["prefetch_guesses"])

    def test_statistics_that_cannot_be_kept_are_a_warning(self):
        outcome = support.hypura("run", support.MODEL, "-p", support.PROMPT, "-n", 4, "-t", 1,
                                 "--mode", "experts", "--ram-budget", "42M", "--prefetch",
                                 "coactivation", env={**os.environ, "XDG_CACHE_HOME": "/proc/none"})
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("warning: cannot write /proc/none/hypura/statistics/", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
