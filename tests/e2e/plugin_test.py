"""llama.cpp's own programs, unmodified, with our device as a plug-in."""

import os
import re
import subprocess
import unittest
from pathlib import Path

import support

PLUGIN = Path(os.environ.get("HYPURA_PLUGIN", ""))
HOST = Path(os.environ.get("HYPURA_HOST_BIN", ""))
COMPLETION, BENCH = HOST / "llama-completion", HOST / "llama-bench"

# Not from the start of a line: the host's log thread writes lines in parts.
SUMMARY = re.compile(
    r"hypura: mode (?P<mode>\w+), .* in a budget of (?P<budget>\S+ \w+); "
    r"read (?P<read>\S+) (?P<unit>\w+) \(.*?\)(?P<rest>.*)$", re.M)
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def environment(budget, plugin=PLUGIN):
    variables = {name: value for name, value in os.environ.items()
                 if name not in ("GGML_BACKEND_PATH", "HYPURA_RAM_BUDGET")}
    if plugin:
        variables["GGML_BACKEND_PATH"] = str(plugin)
    if budget is not None:
        variables["HYPURA_RAM_BUDGET"] = str(budget)
    return variables


def host(program, *words, budget=None, plugin=PLUGIN):
    command = [str(program), *map(str, words)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=support.HANG_SECONDS, env=environment(budget, plugin))
    return support.Outcome(command, done.returncode, done.stdout, done.stderr)


def words_for(model, count=32):
    return ("-m", model, "-p", support.PROMPT, "-n", count, "--temp", 0, "-t", 1, "-c", 512,
            "-no-cnv", "--load-mode", "mmap")


# The last thing that llama-completion writes, in this order.
LAST_LINE = "graphs reused"


def complete(*words, budget=None, plugin=PLUGIN, model=support.MODEL, count=32, until=LAST_LINE):
    """Runs llama-completion until `until` is on stderr: its log writes stdout, too, in a thread that
    does not outlive main(), so that a run on a busy machine may lose the end of what it says."""
    for _ in range(20):
        outcome = host(COMPLETION, *words_for(model, count), *words, budget=budget, plugin=plugin)
        if until in outcome.stderr:
            break
    return outcome


def bytes_read(summary):
    return float(summary["read"]) * UNITS[summary["unit"]]


@unittest.skipUnless(PLUGIN.is_file() and os.access(COMPLETION, os.X_OK),
                     "skipped: no plug-in or no host for it; `make plugin` builds both")
class Plugin(support.TestCase):
    def summary(self, outcome):
        found = SUMMARY.search(outcome.stderr)
        self.assertIsNotNone(found, str(outcome))
        return found

    def assert_refused(self, outcome, *texts):
        """The host ends with an error, once ours is said and nothing is generated."""
        self.assertEqual(outcome.returncode, 1, str(outcome))
        self.assertEqual(outcome.stdout.strip().removeprefix(support.PROMPT), "", str(outcome))
        self.assertEqual(outcome.stderr.count("hypura: error: "), 1, outcome.stderr)
        for text in texts:
            self.assertIn(text, outcome.stderr)

    def test_streamed_text_is_the_hosts_own(self):
        expected = complete("--no-repack", plugin=None)
        self.assertEqual(expected.returncode, 0, str(expected))
        self.assertNotIn("hypura", expected.stderr)
        self.assertGreater(len(expected.stdout), 60)
        model_bytes = support.MODEL.stat().st_size
        reads = []
        for budget in ("min", "50%", "1G", None):
            with self.subTest(budget=budget):
                outcome = complete(budget=budget)
                self.assertEqual(outcome.returncode, 0, str(outcome))
                self.assertEqual(outcome.stdout, expected.stdout)
                summary = self.summary(outcome)
                hits = float(re.search(r"expert hits (\S+) %", summary["rest"])[1])
                self.assertLess(hits, 100)
                reads.append(bytes_read(summary))
        least, half, all_fits, automatic = reads
        # 32 tokens of 4 experts in 16, and a warm-up of all: far more than the file once.
        self.assertGreater(least, 4 * model_bytes)
        self.assertTrue(model_bytes < half < least, reads)
        # What fits is read once, block by block.
        self.assertLess(all_fits, 1.2 * model_bytes)
        self.assertLess(automatic, 1.2 * model_bytes)

    def peak_bytes(self, budget):
        """The host's most resident memory, as last seen before it ended."""
        process = subprocess.Popen([str(COMPLETION), *map(str, words_for(support.MODEL))],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment(budget))
        self.addCleanup(process.kill)
        peak = 0
        while process.poll() is None:
            found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) << 10) if found else peak
        self.assertEqual(process.returncode, 0)
        return peak

    def test_the_budget_bounds_memory(self):
        least, all_fits = self.peak_bytes("min"), self.peak_bytes("1G")
        # All 27 MiB of weights, or 4 MiB for them.
        self.assertGreater(all_fits - least, 20 << 20, (least, all_fits))

    def test_a_smaller_micro_batch_and_no_warm_up(self):
        prompt = (support.REPO / "LICENSE").read_text()[:900]
        words = ("-ub", 16, "--no-warmup", "-p", prompt)
        expected = complete("--no-repack", *words, plugin=None)
        streamed = complete(*words, budget="min")
        self.assertEqual(streamed.stdout, expected.stdout)
        self.assertGreater(bytes_read(self.summary(streamed)), support.MODEL.stat().st_size)

    def test_bench(self):
        for budget in ("min", "50%"):
            with self.subTest(budget=budget):
                outcome = host(BENCH, "-m", support.MODEL, "-p", 16, "-n", 8, "-t", 1, "-r", 1,
                               "-o", "json", budget=budget)
                self.assertEqual(outcome.returncode, 0, str(outcome))
                results = outcome.json()
                self.assertEqual(len(results), 2)
                for result in results:
                    self.assertGreater(result["avg_ts"], 0)
                self.assertGreater(bytes_read(self.summary(outcome)),
                                   support.MODEL.stat().st_size)

    def test_a_budget_nobody_can_read(self):
        self.assert_refused(complete(budget="plenty", until=""), "HYPURA_RAM_BUDGET plenty", "40%")

    def test_a_budget_too_small(self):
        self.assert_refused(complete(budget="64K", until=""), "weights need", "64 KiB",
                            "HYPURA_RAM_BUDGET=min")

    def test_a_model_that_is_not_there(self):
        outcome = complete(budget="min", model=self.folder / "none.gguf",
                           until="none.gguf")
        self.assertEqual(outcome.returncode, 1, str(outcome))
        self.assertIn("none.gguf", outcome.stderr)
        self.assertNotIn("hypura:", outcome.stderr)

    def test_a_truncated_model(self):
        path = self.file("short.gguf", support.MODEL.read_bytes()[:20_000_000])
        outcome = complete(budget="min", model=path, until="file bounds")
        self.assertEqual(outcome.returncode, 1, str(outcome))
        self.assertIn("not within the file bounds", outcome.stderr)

    def test_a_file_that_shrinks_while_it_streams(self):
        path = self.file("model.gguf", support.MODEL.read_bytes())
        words = [*map(str, words_for(path, 400)), "--ignore-eos", "--no-warmup"]
        process = subprocess.Popen([str(COMPLETION), *words], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   env=environment("min"))
        self.addCleanup(process.kill)
        first = support.read_first(process, len(support.PROMPT) + 8)
        os.truncate(path, 1_000_000)
        rest, stderr = process.communicate(timeout=support.HANG_SECONDS)
        self.assertNotEqual(process.returncode, 0, stderr)
        self.assertRegex(stderr.decode(), r"hypura: error: file shrank.*\d{4,}")
        expected = complete("--no-repack", "--ignore-eos", "--no-warmup", plugin=None, count=400)
        self.assertTrue(expected.stdout.startswith((first + rest).decode().strip()))

    def test_weights_that_are_not_mapped(self):
        outcome = complete("--load-mode", "none", budget="min")
        self.assertEqual(outcome.returncode, 0, str(outcome))
        self.assertEqual(outcome.stderr.count("hypura: warning: "), 1, outcome.stderr)
        self.assertIn("read into memory", outcome.stderr)
        self.assertIsNone(SUMMARY.search(outcome.stderr))


if __name__ == "__main__":
    unittest.main()
