"""`hypura bench`: tables that parse, texts that are kept, regressions that are found, nothing left behind."""

import csv
import io
import json
import os
import signal
import time
import unittest
from pathlib import Path

import support

GROUPS = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
SOON_SECONDS = 10


def bench(*words, arms="hypura,mmap", samples=2, budget="min", cache="--warm"):
    # Warm but once: the tests leave the machine's page cache alone.
    return support.hypura("bench", support.MODEL, "--ram-budget", budget, cache, "--warmup", 0,
                          "-n", 6, "--samples", samples, "--drive-bytes", "8M", "--arms", arms, "-p",
                          support.PROMPT, *words, "--", "-t", 1)


def children_with(marker):
    """Ids of processes that have `marker` among their words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass  # it ended meanwhile
    return found


class Bench(support.TestCase):
    def assert_done(self, outcome):
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome

    def test_json_keeps_every_sample_and_its_text(self):
        outcome = self.assert_done(bench("-o", "json", arms="hypura,mmap,resident"))
        report = outcome.json()
        self.assertEqual((report["schema"], report["kind"]), (1, "bench"))
        self.assertFalse(report["partial"])
        self.assertTrue(report["texts"]["agree"])
        expected = support.greedy("-t", 1, "-c", 1024, "--ignore-eos", "--ram-budget", "min", count=6)
        for arm in report["arms"]:
            self.assertEqual(len(arm["samples"]), 2, arm["name"])
            for sample in arm["samples"]:
                self.assertIsNone(sample["failure"])
                self.assertEqual(sample["token_ids"], expected["token_ids"])
                self.assertEqual(sample["text"], expected["text"])
        hypura = report["arms"][0]
        bound = hypura["bound"]
        self.assertGreater(bound["missing_bytes"], 0)
        self.assertAlmostEqual(bound["efficiency"] * bound["of_the_bound"]["median"], 1)
        self.assertAlmostEqual(bound["bound_seconds"],
                               max(bound["drive_seconds"], bound["compute_seconds"]))
        self.assertGreater(hypura["bytes_read_per_token"]["median"], 0)
        self.assertEqual(len(report["drive"]["measurements_gbps"]), 4)
        self.assertEqual(len(outcome.stderr.splitlines()), 6)

    def test_save_writes_the_json_beside_the_table(self):
        path = self.folder / "report.json"
        outcome = self.assert_done(bench("--save", path, samples=1))
        self.assertIn("| hypura |", outcome.stdout)
        self.assertEqual(json.loads(path.read_text())["kind"], "bench")
        outcome = bench("--save", self.folder / "none" / "report.json", samples=1)
        self.assertEqual(outcome.returncode, support.FAILED, str(outcome))
        self.assertIn("| hypura |", outcome.stdout)

    def test_json_flag_is_the_json_output(self):
        self.assertEqual(self.assert_done(bench("--json", samples=1)).json()["kind"], "bench")

    def test_markdown(self):
        lines = self.assert_done(bench()).stdout.splitlines()
        rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
        self.assertEqual([row[0].strip() for row in rows], ["arm", "---", "hypura", "mmap"])
        self.assertEqual({len(row) for row in rows}, {10})
        self.assertGreater(float(rows[2][1]), 0)
        self.assertRegex(rows[2][7], r"^ \d+\.\d\dx $")
        self.assertTrue(any(line.startswith("hypura / mmap: median **") for line in lines))

    def test_cold(self):
        outcome = self.assert_done(bench(cache="--cold", samples=1))
        self.assertIn("; cold;", outcome.stdout)
        self.assertNotIn("could not be emptied", outcome.stdout)

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.assert_done(bench("-o", "csv")).stdout)))
        self.assertEqual([row["arm"] for row in rows], ["hypura", "mmap"])
        for row in rows:
            self.assertEqual((row["samples"], row["failed"], row["partial"]), ("2", "0", "false"))
            self.assertLessEqual(float(row["decode_tps_low"]), float(row["decode_tps"]))
            self.assertNotIn(None, row)
        self.assertGreater(float(rows[0]["of_the_bound"]), 0)

    def test_compare(self):
        report = self.assert_done(bench("-o", "json")).json()
        # Against itself, with room for a machine that does other things meanwhile.
        for arm in report["arms"]:
            tps = arm["decode_tps"]
            tps.update(low=tps["low"] / 1000, high=tps["high"] * 1000)
        same = self.file("same.json", json.dumps(report).encode())
        outcome = self.assert_done(bench("--compare", same))
        self.assertIn("same within noise", outcome.stdout)
        self.assertNotIn("other conditions", outcome.stdout)

        for arm in report["arms"]:
            for key in ("median", "low", "high"):
                arm["decode_tps"][key] = arm["decode_tps"]["median"] * 1000
        faster = self.file("faster.json", json.dumps(report).encode())
        outcome = bench("--compare", faster)
        self.assertEqual(outcome.returncode, support.FAILED, str(outcome))
        self.assertIn("SLOWER", outcome.stdout)
        self.assertIn("slower than the old report", outcome.stderr)
        outcome = bench("--compare", faster, "-o", "json")
        self.assertEqual(outcome.returncode, support.FAILED, str(outcome))
        self.assertTrue(outcome.json()["comparison"]["regression"])

    def test_what_is_no_report_is_noticed_before_the_first_sample(self):
        for path in (self.file("x.json", b"{}"), self.folder / "none.json"):
            outcome = bench("--compare", path)
            self.assert_error(outcome, support.FAILED)
            self.assertNotIn("tok/s", outcome.stderr)

    def test_a_stock_program_that_says_another_text_is_noticed(self):
        stock = self.file("stock", b"#!/bin/sh\necho 'quite another text'\n"
                          b"echo 'eval time = 10 ms / 5 runs ( 2 ms per token, 500.0 tokens per second)' >&2\n")
        stock.chmod(0o755)
        outcome = bench("--stock", stock)
        self.assertEqual(outcome.returncode, support.FAILED, str(outcome))
        self.assertIn("hypura, sample 1, and mmap, sample 1, differ after 0 bytes", outcome.stderr)

    def test_an_arm_that_fails_is_recorded(self):
        outcome = self.assert_done(bench("--stock", "/bin/false", "-o", "json"))
        mmap = outcome.json()["arms"][1]
        self.assertEqual(mmap["failures"], 2)
        self.assertTrue(mmap["samples"][0]["failure"].startswith("exit 1"))

    def test_a_sample_that_takes_too_long_is_cut_off(self):
        stock = self.file("stock", b"#!/bin/sh\nexec sleep 1000\n")
        stock.chmod(0o755)
        outcome = self.assert_done(bench("--stock", stock, "--timeout", 2, "-o", "json", samples=1))
        mmap = outcome.json()["arms"][1]
        self.assertEqual(mmap["samples"][0]["failure"], "timed out after 2 s")
        self.assertTrue(mmap["samples"][0]["timed_out"])

    def test_the_childs_refusal_is_ours(self):
        outcome = bench("--limit", "off", budget="2M")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        self.assertIn("plan does not fit", outcome.stderr)

    def test_a_limit_kills_what_needs_more(self):
        if os.geteuid() != 0 or not (GROUPS[0] / "memory.limit_in_bytes").exists():
            self.skipTest("needs root and memory groups")
        outcome = bench("--limit", "12M", "-o", "json", samples=1)
        arms = {arm["name"]: arm for arm in outcome.json()["arms"]}
        self.assertEqual(arms["mmap"]["samples"][0]["failure"], "killed (out of memory)")
        self.assertLessEqual(arms["mmap"]["samples"][0]["group_peak_bytes"], 12 << 20)


class Interrupted(support.TestCase):
    def start(self):
        self.marker = f"marker {os.getpid()} {time.monotonic_ns()}"
        process = support.start("bench", support.MODEL, "--ram-budget", "min", "--warm", "--warmup", 0,
                                "--samples", 100, "-n", 500, "--arms", "hypura", "--drive-bytes", "8M",
                                "-p", self.marker, "--", "-t", 1)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition):
        until = time.monotonic() + SOON_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def groups_of(self, process):
        return [group for root in GROUPS for group in root.glob(f"hypura-bench-{process.pid}-*")]

    def child_started(self, process):
        return len(children_with(self.marker)) > 1 and process.poll() is None

    def test_nothing_is_left(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = self.start()
                self.wait_for(lambda: self.child_started(process))
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=SOON_SECONDS)
                self.assertEqual(process.returncode, support.INTERRUPTED, stderr)
                self.assertIn(b"PARTIAL", stdout)
                self.assertNotIn(b"error", stderr)
                self.assertEqual(children_with(self.marker), [])
                self.assertEqual(self.groups_of(process), [])

    def test_a_killed_bench_takes_its_child_along(self):
        process = self.start()
        self.wait_for(lambda: self.child_started(process))
        process.kill()
        process.communicate(timeout=SOON_SECONDS)
        self.wait_for(lambda: not children_with(self.marker))
        for group in self.groups_of(process):  # nobody was left to remove it
            self.wait_for(lambda: not (group / "cgroup.procs").read_text())
            group.rmdir()


if __name__ == "__main__":
    unittest.main()
