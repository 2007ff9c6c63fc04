"""What the benchmarks of this folder share: cold files, memory groups, models, intervals."""

import hashlib
import os
import random
import statistics
import subprocess
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Of a generated model's vocabulary: nearly a token a letter, about 60 in all.
SENTENCE = "The river was wide and the old boat moved slowly under a grey sky. "
GROUPS = "/sys/fs/cgroup"


def drop_page_cache():
    """As another user than root the page cache stays."""
    if os.geteuid() == 0:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")


def make_model(generator, shape, file):
    """Writes a model that is not there yet. One that is there is whole."""
    if not os.path.exists(file):
        os.makedirs(os.path.dirname(file), exist_ok=True)
        subprocess.run([generator, *shape, "--out", file + ".part"], check=True,
                       stdout=subprocess.DEVNULL)
        os.rename(file + ".part", file)
        os.sync()  # what is still written takes a core from whoever is measured next


def interval(values):
    """Of the median, 95 %, by 10 000 resamples."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(10000))
    return medians[250], medians[-251]


def digest(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:12]


class MemoryGroup:
    """A control group (root, v1 or v2) that holds who enters it to `limit_bytes`, without swap.
    Those of one process that live at the same time have other numbers."""

    def __init__(self, limit_bytes, number=0):
        version1 = os.path.isdir(GROUPS + "/memory")
        self.folder = f"{GROUPS}{'/memory' if version1 else ''}/hypura-bench-{os.getpid()}-{number}"
        if not version1:
            with open(GROUPS + "/cgroup.subtree_control", "w") as file:
                file.write("+memory")
        os.mkdir(self.folder)
        try:
            self._set("memory.limit_in_bytes" if version1 else "memory.max", limit_bytes)
            if version1:
                self._set("memory.swappiness", 0)
            elif os.path.exists(self.folder + "/memory.swap.max"):
                self._set("memory.swap.max", 0)
        except OSError:
            os.rmdir(self.folder)
            raise

    def _set(self, name, value):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(str(value))

    def enter(self):
        self._set("cgroup.procs", os.getpid())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(100):  # a killed process leaves a little later than it is waited for
            try:
                return os.rmdir(self.folder)
            except OSError:
                time.sleep(0.05)
