"""A process under a memory limit: a control group of version 1 or 2, without swap."""

import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """Owns one control group: made on entry, gone on exit. limit_bytes None: no limit, no group."""

    def __init__(self, name, limit_bytes, root=ROOT):
        self.limit_bytes = limit_bytes
        self.v1 = (root / "memory").is_dir()
        self.path = (root / "memory" if self.v1 else root) / name

    def __enter__(self):
        if self.limit_bytes is None:
            return self
        self.path.mkdir()
        if self.v1:
            self._write("memory.limit_in_bytes", self.limit_bytes)
            self._write("memory.swappiness", 0)
            if (self.path / "memory.memsw.limit_in_bytes").exists():
                self._write("memory.memsw.limit_in_bytes", self.limit_bytes)
        else:
            self._write("memory.max", self.limit_bytes)
            self._write("memory.swap.max", 0)
        return self

    def __exit__(self, *_):
        if self.limit_bytes is None:
            return
        # A killed process leaves its group a little later than it is waited for.
        for _ in range(100):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        print(f"warning: {self.path} could not be removed")

    def run(self, command, timeout_s, **streams):
        """(exit status, whether it was cut off). Interrupts after timeout_s, so that the program
        can still print its summary, and kills 20 s later."""
        if self.limit_bytes is not None:
            enter = f"echo $$ > '{self.path}/cgroup.procs' && exec \"$@\""
            command = ["sh", "-c", enter, "sh", *command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)
        try:
            try:
                return process.wait(timeout_s), False
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                return process.wait(20), True
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(), True
        except BaseException:
            process.kill()
            process.wait()
            raise

    def peak_bytes(self):
        """The most memory the group held, page cache included; None where the kernel keeps none."""
        name = "memory.max_usage_in_bytes" if self.v1 else "memory.peak"
        file = self.path / name
        return int(file.read_text()) if self.limit_bytes is not None and file.exists() else None

    def _write(self, name, value):
        (self.path / name).write_text(str(value))


def drop_page_cache():
    """Empties the page cache. What a run before us left there would not count against the limit."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
