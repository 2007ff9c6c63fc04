"""`hypura profile` and `hypura doctor`: measured, kept, and doubted."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import support

TYPES = {"q4_K", "q5_K", "q6_K", "q8_0", "q4_0", "iq4_xs", "f16", "mxfp4"}


class ProfileCase(support.TestCase):
    def setUp(self):
        super().setUp()
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.folder / "cache"))

    def profile(self, *words, **popen):
        return support.hypura("profile", *words, env=self.environment, **popen)

    def kept(self):
        """The file of the kept profile."""
        files = list((self.folder / "cache" / "hypura" / "profiles").iterdir())
        self.assertEqual(len(files), 1, files)
        return files[0]

    def keep(self, **changes):
        """Puts a profile where this machine's is kept, as measured now but for `changes`."""
        profile = json.loads(KEPT_TEXT)
        profile.update(changes)
        path = self.folder / "cache" / "hypura" / "profiles" / KEPT_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(profile))
        return path


# One measurement serves all tests that need a kept profile.
KEPT_TEXT = ""
KEPT_NAME = ""
SECONDS = 0


def setUpModule():
    global KEPT_TEXT, KEPT_NAME, SECONDS
    with tempfile.TemporaryDirectory() as cache:
        begin = time.monotonic()
        outcome = support.hypura("profile", support.MODEL, "--force", "--json",
                                 env=dict(os.environ, XDG_CACHE_HOME=cache))
        SECONDS = time.monotonic() - begin
        assert outcome.returncode == support.DONE, str(outcome)
        (path,) = (Path(cache) / "hypura" / "profiles").iterdir()
        assert path.read_text() == outcome.stdout, "what is kept is what is printed"
        KEPT_TEXT, KEPT_NAME = outcome.stdout, path.name


class Measured(unittest.TestCase):
    def setUp(self):
        self.answer = json.loads(KEPT_TEXT)

    def test_takes_less_than_a_minute(self):
        self.assertLess(SECONDS, 60)  # 20 on an idle machine

    def test_the_machine(self):
        answer = self.answer
        self.assertEqual(answer["schema"], 1)
        self.assertEqual(answer["source"], "measured")
        self.assertEqual(answer["date"][:4].isdigit() and answer["date"][-1], "Z")
        self.assertTrue(1 <= answer["cores"] <= answer["logical_cores"] <= os.cpu_count())
        self.assertTrue(1 << 28 < answer["memory"]["total_bytes"] < 1 << 50)
        self.assertTrue(0.1 < answer["memory"]["read_gbps"] < 10000)
        self.assertTrue(0 < answer["graph_overhead_us"] < 1e6)
        self.assertEqual(answer["gpus"], [])

    def test_the_drive(self):
        drive = self.answer["drive"]
        self.assertTrue(drive["device"])
        self.assertTrue(drive["filesystem"])
        self.assertTrue(0.001 < drive["sequential_gbps"] < 1000)
        self.assertTrue(0.001 < drive["scattered_gbps"] < 1000)
        self.assertTrue(1 <= drive["knee_depth"] <= 32)
        self.assertGreater(drive["cached_gbps"], 0.05)
        ways = {(s["read_bytes"], s["depth"], s["sequential"]) for s in drive["samples"]}
        self.assertEqual(len(ways), len(drive["samples"]))
        self.assertIn((1 << 20, 1, False), ways)
        for sample in drive["samples"]:
            self.assertTrue(0 < sample["gbps"] < 1000, sample)
            self.assertTrue(0 < sample["latency_us"] < 1e7, sample)
            # Little's law, loosely: no more in flight than there are.
            self.assertLess(sample["gbps"] * 1e3 * sample["latency_us"],
                            4 * sample["read_bytes"] * sample["depth"], sample)

    def test_the_processor(self):
        cores = self.answer["cores"]
        full = {s["type"] for s in self.answer["compute"] if s["threads"] == cores}
        self.assertTrue({"q4_K", "q6_K"} <= full <= TYPES, full)
        for sample in self.answer["compute"]:
            self.assertTrue(0.001 < sample["token_gbps"] < 10000, sample)
            self.assertTrue(0.001 < sample["expert_gbps"] < 10000, sample)
            self.assertTrue(0.001 < sample["batch_gbps"] < 1e6, sample)

    def test_a_small_file_is_doubted(self):
        self.assertTrue([w for w in self.answer["warnings"] if w.startswith("small:")],
                        self.answer["warnings"])


class Kept(ProfileCase):
    def test_a_fresh_one_is_used_and_its_date_said(self):
        self.keep()
        begin = time.monotonic()
        outcome = self.profile(support.MODEL, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.json(), json.loads(KEPT_TEXT))
        self.assertEqual(outcome.stderr, "")
        self.assertLess(time.monotonic() - begin, 10)
        page = self.profile(support.MODEL)
        self.assertIn(json.loads(KEPT_TEXT)["date"], page.stdout)
        self.assertIn(KEPT_NAME, page.stderr)

    def test_an_edited_figure_is_believed(self):
        path = self.keep(graph_overhead_us=123.5)
        outcome = self.profile(support.MODEL, "--json")
        self.assertEqual(outcome.json()["graph_overhead_us"], 123.5)
        self.assertEqual(json.loads(path.read_text())["graph_overhead_us"], 123.5)

    def test_doctor_uses_it_and_measures_nothing(self):
        memory = dict(json.loads(KEPT_TEXT)["memory"], read_gbps=777)
        self.keep(memory=memory)
        outcome = support.hypura("doctor", support.MODEL, "--json", env=self.environment)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.json()["memory_gbps"], 777)


class NotUsed(ProfileCase):
    """What is stale or hostile counts as nothing. Seen through doctor, whose measurement is short."""

    def assert_unused(self, content):
        path = self.keep()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            self.keep(**content)
        before = path.read_bytes()
        outcome = support.hypura("doctor", support.MODEL, "--json", env=self.environment)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertNotEqual(outcome.json()["profile_date"], json.loads(KEPT_TEXT)["date"])
        self.assertEqual(path.read_bytes(), before, "doctor keeps nothing")

    def test_stale(self):
        drive = json.loads(KEPT_TEXT)["drive"]
        for changes in ({"date": "2020-01-01T00:00:00Z"}, {"date": "2999-01-01T00:00:00Z"},
                        {"cpu": "Another"}, {"system": "Linux 2.4"}, {"cores": 999},
                        {"drive": dict(drive, device="another")}, {"date": ""}):
            with self.subTest(changes=list(changes)):
                self.assert_unused(changes)

    def test_hostile(self):
        for content in (b"", b"{", b"\0" * 4096, b"[" * 100000, b'{"schema": 2}', b" " * (2 << 20),
                        KEPT_TEXT.replace('"cores": ', '"cores": -').encode(),
                        KEPT_TEXT.replace('"read_gbps": ', '"read_gbps": NaN').encode()):
            with self.subTest(content=content[:20]):
                self.assert_unused(content)

    def test_the_reason_is_said_and_the_file_replaced(self):
        path = self.keep(cores=-3)
        outcome = self.profile(support.MODEL, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("cores is negative: -3", outcome.stderr)
        self.assertNotIn("error", outcome.stderr)
        self.assertNotEqual(outcome.json()["date"], json.loads(KEPT_TEXT)["date"])
        self.assertEqual(path.read_text(), outcome.stdout)

    def test_a_folder_that_cannot_be_written_is_said_and_no_error(self):
        self.environment["XDG_CACHE_HOME"] = "/proc/none"
        outcome = self.profile(support.MODEL, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("cannot keep the profile in /proc/none", outcome.stderr)
        self.assertEqual(outcome.json()["schema"], 1)


class Temporary(ProfileCase):
    def test_is_made_where_it_is_asked_for_and_nothing_is_left(self):
        place = self.folder / "place"
        place.mkdir()
        outcome = self.profile("--dir", place, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertGreater(outcome.json()["drive"]["sequential_gbps"], 0)
        self.assertEqual(list(place.iterdir()), [])

    def test_nothing_is_left_after_an_interrupt(self):
        place = self.folder / "place"
        place.mkdir()
        for number, code in ((signal.SIGINT, support.INTERRUPTED), (signal.SIGKILL, -signal.SIGKILL)):
            with self.subTest(number=number):
                process = subprocess.Popen(support.command("profile", "--dir", place),
                                           env=self.environment, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
                time.sleep(2)
                process.send_signal(number)
                stdout, _ = process.communicate(timeout=support.HANG_SECONDS)
                self.assertEqual(process.returncode, code)
                self.assertEqual(stdout, b"")
                self.assertEqual(list(place.iterdir()), [])
        self.assertFalse((self.folder / "cache").exists(), "nothing was kept")

    def test_a_full_drive_is_one_clear_message(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small drive")
        place = self.folder / "small"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("cannot mount here")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        outcome = self.profile("--dir", place)
        self.assert_error(outcome, support.FAILED)
        self.assertIn("cannot write a temporary file", outcome.stderr)
        self.assertIn("are free there", outcome.stderr)
        self.assertIn("--dir", outcome.stderr)


class Refused(ProfileCase):
    def test_usage(self):
        for words in (["--frce"], ["a", "b"], ["--dir"], [support.MODEL, "--dir", "."]):
            with self.subTest(words=words):
                self.assert_error(self.profile(*words), support.USAGE)

    def test_what_is_no_model(self):
        self.assert_error(self.profile(self.file("x.gguf", b"GGUF")), support.INVALID_MODEL)
        self.assert_error(self.profile(self.folder / "none"), support.FAILED)
        self.assert_error(self.profile("--dir", self.folder / "none"), support.FAILED)


class Doctor(ProfileCase):
    def test_without_a_model_nothing_is_written(self):
        before = set(os.listdir(self.folder))
        outcome = support.hypura("doctor", env=self.environment, cwd=self.folder)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("rule of thumb", outcome.stdout)
        self.assertIn("the drive is not measured", outcome.stdout)
        self.assertEqual(set(os.listdir(self.folder)), before)

    def test_json(self):
        outcome = support.hypura("doctor", support.MODEL, "--json", env=self.environment)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        answer = outcome.json()
        self.assertEqual(answer["schema"], 1)
        self.assertTrue(answer["can_run"])
        self.assertGreater(answer["drive_gbps"], 0)
        self.assertTrue(0.05 < answer["model"]["active_share"] < 1)
        speeds = [c["dense"]["decode_tps"] for c in answer["classes"]]
        self.assertEqual(speeds, sorted(speeds, reverse=True), "larger ones are slower")
        for finding in answer["findings"]:
            self.assertEqual(finding["severity"], "advice")
            self.assertTrue(finding["what"] and finding["fix"], finding)

    def test_a_machine_where_nothing_can_run(self):
        outcome = support.hypura("doctor", "--json", env=self.environment, preexec_fn=few_files)
        self.assertEqual(outcome.returncode, support.FAILED, str(outcome))
        self.assertFalse(outcome.json()["can_run"])
        self.assertEqual(outcome.json()["findings"][0]["severity"], "broken")
        self.assertIn("ulimit -n", outcome.json()["findings"][0]["fix"])


def few_files():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


if __name__ == "__main__":
    unittest.main()
