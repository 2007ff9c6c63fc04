"""Elastic memory: a hog in the same memory group takes half of it while text is generated. Nobody is
killed, the text is the undisturbed one, and memory is followed: given up in time, taken back later."""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import support

MIB = 1 << 20
LIMIT = 440 * MIB
HOG_BYTES = LIMIT // 2
HOG_SECONDS = 1.5
FOLLOWED_SECONDS = 2  # behind the hog's last page
# More weights than the limit, so that `auto` streams in this group; 4 of 32 experts a token.
DENSE = ("--arch llama --layers 20 --embd 2048 --ff 6144 --heads 16 --kv-heads 1 --head-dim 64 "
         "--vocab 4096 --quant q4_k_m").split()
EXPERTS = ("--arch qwen3moe --layers 8 --embd 1024 --heads 8 --kv-heads 2 --head-dim 64 --experts 32 "
         "--used 4 --expert-ff 1024 --vocab 4096 --quant q4_k").split()
RUN = ["-p", support.PROMPT, "--temp", 0, "-t", 1, "--ignore-eos"]

# Takes memory page by page, says so, and lets go when its stdin closes.
HOG = """
import mmap, sys, time
total, seconds, parts = int(sys.argv[1]), float(sys.argv[2]), 100
memory = mmap.mmap(-1, total, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = time.monotonic()
for part in range(parts):
    first = total // parts * part
    for at in range(first, first + total // parts, mmap.PAGESIZE):
        memory[at] = 1
    time.sleep(max(0, start + seconds * (part + 1) / parts - time.monotonic()))
print("full", flush=True)
sys.stdin.read()
"""


class Group:
    """A memory group of version 1 or 2, without swap; removed with close()."""

    MOUNT = Path("/sys/fs/cgroup")

    def __init__(self, limit_bytes):
        self.version1 = (self.MOUNT / "memory").exists()
        parent = self.MOUNT / "memory" if self.version1 else self.MOUNT
        self.path = parent / f"hypura-elastic-{os.getpid()}"
        self.path.mkdir()
        try:
            if self.version1:
                (self.path / "memory.swappiness").write_text("0")
                (self.path / "memory.limit_in_bytes").write_text(str(limit_bytes))
            else:
                (self.path / "memory.max").write_text(str(limit_bytes))
                if (self.path / "memory.swap.max").exists():
                    (self.path / "memory.swap.max").write_text("0")
        except OSError:
            self.close()
            raise

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def held(self):
        """Bytes that the kernel cannot simply drop, as it can pages of files that were read once."""
        usage = "memory.usage_in_bytes" if self.version1 else "memory.current"
        droppable = "total_inactive_file" if self.version1 else "inactive_file"
        return int((self.path / usage).read_text()) - self.value_in("memory.stat", droppable)

    def kills(self):
        return self.value_in("memory.oom_control" if self.version1 else "memory.events", "oom_kill")

    def value_in(self, name, key):
        lines = (self.path / name).read_text().splitlines()
        return int(dict(line.split() for line in lines).get(key, 0))

    def close(self):
        for _ in range(100):  # a process leaves a little later than it is waited for
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.05)


def own_bytes(pid, key="RssAnon"):
    """Anonymous memory of a process, or what of it is swapped out; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Chunks(threading.Thread):
    """Reads a pipe and remembers when what came."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.chunks = pipe, []
        self.start()

    def run(self):
        while chunk := self.pipe.read(4096):
            self.chunks.append((time.monotonic(), chunk))

    def text(self):
        self.join()
        return b"".join(chunk for _, chunk in self.chunks).decode()


class Hog:
    def __init__(self, group):
        self.process = subprocess.Popen([sys.executable, "-c", HOG, str(HOG_BYTES), str(HOG_SECONDS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        preexec_fn=group.enter)

    def wait_until_full(self):
        return self.process.stdout.readline() == b"full\n"

    def leave(self):
        self.process.communicate(timeout=support.HANG_SECONDS)
        return self.process.returncode


class Elastic(support.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root to limit memory")
        try:
            Group(64 * MIB).close()
        except OSError as error:
            raise unittest.SkipTest(f"no memory group can be made here: {error}")

    def make_model(self, shape):
        self.model = self.folder / "model.gguf"
        subprocess.run([os.environ["HYPURA_MAKE_MODEL"], *shape, "--out", self.model], check=True,
                       capture_output=True, timeout=120)

    def setUp(self):
        super().setUp()
        self.make_model(EXPERTS)
        self.group = Group(LIMIT)
        self.addCleanup(self.group.close)

    def start(self, *words, context=8192):
        process = subprocess.Popen(support.command("run", self.model, *RUN, "--ctx", context,
                                                   "-n", context - 192, *words),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, bufsize=0, preexec_fn=self.group.enter)
        self.addCleanup(process.kill)
        return process, Chunks(process.stdout), Chunks(process.stderr)

    def wait_for(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"no {what} in {seconds} s")
            time.sleep(0.02)

    def wait_until_full(self, process):
        """Its caches, which are filled in the background."""
        self.wait_for("full caches", lambda: process.poll() is not None or
                      own_bytes(process.pid) > 0.75 * LIMIT)
        time.sleep(1)
        self.assertIsNone(process.poll())
        return own_bytes(process.pid)

    def hog(self, process):
        """Half of the limit is taken; the process follows. Returns the hog, and when it was full."""
        hog = Hog(self.group)
        self.addCleanup(hog.process.kill)
        self.assertTrue(hog.wait_until_full(), "the hog was killed")
        full = time.monotonic()
        time.sleep(FOLLOWED_SECONDS)
        self.assertIsNone(process.poll(), "killed")
        self.assertLess(own_bytes(process.pid), LIMIT - HOG_BYTES)
        self.assertLess(self.group.held(), 0.98 * LIMIT)
        return hog, full

    def finish(self, process, hog):
        self.assertIsNone(process.poll(), "killed")
        self.assertEqual(own_bytes(process.pid, "VmSwap"), 0)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=support.HANG_SECONDS)
        self.assertEqual(process.returncode, support.INTERRUPTED)
        self.assertEqual(self.group.kills(), 0)

    def undisturbed(self, count):
        return support.greedy(*RUN[2:], "--ctx", 8192, "--mode", "resident", "--exact",
                              model=self.model, count=count)

    def test_memory_is_given_and_taken_back_and_the_text_is_the_same(self):
        process, stdout, _ = self.start("--json")
        before = self.wait_until_full(process)
        hog, _ = self.hog(process)
        shrunk = own_bytes(process.pid)
        self.assertLess(shrunk, before - 0.8 * HOG_BYTES)
        time.sleep(1)
        self.assertLess(own_bytes(process.pid), shrunk + 8 * MIB, "it grew beside the hog")
        self.assertEqual(hog.leave(), 0)
        self.wait_for("growth", lambda: own_bytes(process.pid) > shrunk + 0.05 * LIMIT)
        self.finish(process, hog)

        answer = support.Outcome([], 0, stdout.text().encode(), b"").json()
        self.assertIn(answer["mode"], ("experts", "mixed"))
        elastic = answer["elastic"]
        self.assertGreater(elastic["given_back_bytes"], 0.5 * HOG_BYTES)
        self.assertGreater(elastic["taken_back_bytes"], 0.04 * LIMIT)
        self.assertEqual(elastic["cache_bytes_last"] - elastic["taken_back_bytes"] +
                         elastic["given_back_bytes"], elastic["cache_bytes_most"])
        self.assertLess(elastic["cache_bytes_least"], elastic["cache_bytes_last"])
        self.assertGreater(elastic["looks"], 100)
        self.assertLess(elastic["look_seconds"] / elastic["looks"], 1e-3)
        # A step may not be longer than a token, even on a busy machine.
        token_seconds = answer["decode"]["seconds"] / answer["decode"]["steps"]
        self.assertLess(elastic["longest_step_seconds"], max(token_seconds, 0.25))

        expected = self.undisturbed(len(answer["token_ids"]))
        self.assertEqual(answer["token_ids"], expected["token_ids"])
        self.assertEqual(answer["text"], expected["text"])

    def test_no_token_waits_for_the_change(self):
        process, stdout, stderr = self.start()
        self.wait_until_full(process)
        begin = time.monotonic()
        hog, full = self.hog(process)
        time.sleep(1)
        self.finish(process, hog)
        self.assertEqual(hog.leave(), 0)
        self.assertRegex(stderr.text(), "gave back [0-9.]+ MiB to others")

        times = [at for at, _ in stdout.chunks]
        pauses = [b - a for a, b in zip(times, times[1:]) if b >= begin]
        shrunk = statistics.median(b - a for a, b in zip(times, times[1:]) if a >= full)
        # Tokens differ by what they read; ten of the slow ones are a pause that a reader notices.
        self.assertLess(max(pauses), max(10 * shrunk, 0.5), f"median {shrunk}")
        text = stdout.text().rstrip("\n")
        expected = self.undisturbed(len(stdout.chunks) + 16)["text"]
        self.assertTrue(expected.startswith(text), text)

    def test_dense_weights_follow_too(self):
        self.make_model(DENSE)
        # A short context, so that weights that can be given back are more than what the hog takes.
        process, stdout, _ = self.start("--json", context=2048)
        self.wait_until_full(process)
        hog, _ = self.hog(process)
        self.assertEqual(hog.leave(), 0)
        shrunk = own_bytes(process.pid)
        self.wait_for("growth", lambda: own_bytes(process.pid) > shrunk + 0.02 * LIMIT)
        self.finish(process, hog)
        answer = support.Outcome([], 0, stdout.text().encode(), b"").json()
        self.assertEqual(answer["mode"], "dense")
        self.assertGreater(answer["elastic"]["given_back_bytes"], 0.4 * HOG_BYTES)
        expected = self.undisturbed(len(answer["token_ids"]))
        self.assertEqual(answer["token_ids"], expected["token_ids"])

    def test_what_was_asked_for_stays(self):
        for words in (["--ram-budget", "150M"], ["--ram-budget", "min"],
                      ["--mode", "resident", "--ram-budget", "1G"]):
            with self.subTest(words=words):
                answer = support.greedy(*RUN[2:], "--ctx", 8192, *words, model=self.model, count=2)
                self.assertIsNone(answer["elastic"])


if __name__ == "__main__":
    unittest.main()
