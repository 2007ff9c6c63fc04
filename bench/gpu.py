#!/usr/bin/env python3
"""hypura with a GPU against llama.cpp with the same memory of it, row by row: run by bench/gpu.sh.

Where a row tries several of llama.cpp's placements (all experts on the CPU, those of the first N
layers, its own fit), each runs once as a process of its own, with its own threads and with those
that hypura took. So does hypura, ROUNDS times where a row asks for a share of the drive or
the bound, which profiles of the same minutes give. Then hypura and the best of them,
for decoding and for prompts, are servers beside each other and take turns: PAIRS prompts of random
tokens each, the same for all, in the other order every time. The first prompt of each is another
figure than the later ones. All get the same context, micro-batch and memory, and no warm-up.
Rows beyond RAM start cold, each process in a memory group of half of the file.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from unittest import mock

sys.dont_write_bytecode = True  # nothing may appear beside the sources
from gpu_table import served, write_table  # noqa: E402
from measure import (REPO, SENTENCE, MemoryGroup, digest, drop_page_cache,  # noqa: E402
                     make_model)
from server_process import ServerError, ServerProcess  # noqa: E402

GB = 1e9
MIB = 1 << 20
MORE_TO_DO = 75  # exit code
SAMPLE_SECONDS = 240  # more is a failure
UNKNOWN_SECONDS = 90  # a first sample is not started with less, nor are servers
SPARE_BYTES = 2 * GB  # a disk that is not full
SLOW_TOKENS = 3  # of a mapped file beyond memory
TOKENS_BEFORE = 8  # of a short prompt in front of one that is measured
COPIED = "hypura_gpu_copied_bytes_total"

FOLDER = os.path.join(REPO, "build/bench")
SAMPLES = os.path.join(FOLDER, "gpu-samples.jsonl")
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")

ROUNDS = int(os.environ.get("ROUNDS", "3"))
PAIRS = int(os.environ.get("PAIRS", "12"))
OTHER_PAIRS = min(PAIRS, 3)  # of a row's other prompts
PLACEMENTS = os.environ.get("PLACEMENTS", "").split()
PROMPT = int(os.environ.get("PROMPT_TOKENS", "2048"))
MOE = os.environ.get("MOE", "moe-7g")
MOE_LARGE = os.environ.get("MOE_LARGE", "qwen3-30b")
DENSE = os.environ.get("DENSE", "llama-70b")
DENSE_SMALL = os.environ.get("DENSE_SMALL", "qwen2-14b")
GPU_BUDGET = os.environ.get("GPU_BUDGET", "8G")
GPU_BUDGET_SMALL = os.environ.get("GPU_BUDGET_SMALL", "2G")
RAM_BUDGET = os.environ.get("RAM_BUDGET", "24G")
KEEP = os.environ.get("KEEP") == "1"


@dataclasses.dataclass(frozen=True)
class Row:
    title: str
    preset: str
    prompt: int  # tokens, nearly
    tokens: int
    gpu: str
    ram: str = "auto"
    skewed: bool = False
    micro_batch: int = 512
    limit: float = 0  # of the file; 0: none
    first: bool = False  # runs know no more of the model's routing than a first one
    llama: tuple = ()  # placements
    others: tuple = ()  # tokens of other prompts, which servers read, too
    # What the ratios are to reach. 0: the row does not say.
    decode_bar: float = 0
    prompt_bar: float = 0
    bound_bar: float = 0  # of the bound of a token
    drive_bar: float = 0  # of the raw drive
    upload_bar: float = 0  # of the bus

    @property
    def name(self):
        return self.preset + "-skewed" * self.skewed

    @property
    def model(self):
        return os.path.join(REPO, f"build/models/gpu/{self.name}.gguf")

    @property
    def shape(self):
        return ["--preset", self.preset] + ["--routing", "skewed=1.0"] * self.skewed

    @property
    def setting(self):
        """What samples must share."""
        return [self.name, self.prompt, self.tokens, self.gpu, self.ram, self.micro_batch,
                self.limit]

    @property
    def context(self):
        return 256 * math.ceil((1.1 * self.prompt + self.tokens) / 256)

    @property
    def rounds(self):
        """Of runs beside the servers."""
        return ROUNDS if self.bound_bar or self.drive_bar else 0

    @property
    def placements(self):
        """Of llama.cpp, those that are tried."""
        return [p for p in self.llama if p in PLACEMENTS or not PLACEMENTS]

    @property
    def asked(self):
        """What a row is done with."""
        return [self.rounds, PAIRS, self.placements]

    @property
    def served_tokens(self):
        return SLOW_TOKENS if self.limit else self.tokens


BELOW = ("cpu-moe", "n-cpu-moe", "fit")
ROWS = {
    "resident": Row("all on the GPU", MOE, PROMPT, 128, "auto", llama=("all",), decode_bar=0.98,
                    prompt_bar=0.98),
    "beyond": Row("experts beyond RAM, short prompt", MOE, 50, 48, GPU_BUDGET_SMALL, limit=0.5,
                  llama=("cpu-moe",), others=(8, 16, 32), decode_bar=15,
                  prompt_bar=4, bound_bar=0.85),
    "beyond-512": Row("experts beyond RAM", MOE, 512, 2, GPU_BUDGET_SMALL, limit=0.5,
                      llama=("cpu-moe",), prompt_bar=2),
    "beyond-2048": Row("experts beyond RAM, large micro-batch", MOE, 2048, 2, GPU_BUDGET_SMALL,
                       limit=0.5, micro_batch=2048, llama=("cpu-moe",), prompt_bar=2),
    "uniform": Row("experts in RAM, routed evenly", MOE_LARGE, PROMPT, 64, GPU_BUDGET,
                   micro_batch=2048, llama=BELOW, decode_bar=1, prompt_bar=1),
    "skewed": Row("experts in RAM, skewed routing", MOE_LARGE, PROMPT, 64, GPU_BUDGET, skewed=True,
                  micro_batch=2048, llama=BELOW, decode_bar=1.15, prompt_bar=1),
    "skewed-512": Row("experts in RAM, skewed routing, usual micro-batch", MOE_LARGE, PROMPT, 16,
                      GPU_BUDGET, skewed=True, llama=BELOW, prompt_bar=1),
    # A first run takes routing to be skewed and copies experts, which is all of them here.
    "uploads": Row("experts in RAM, all used, usual micro-batch", MOE_LARGE, PROMPT, 16, GPU_BUDGET,
                   first=True, upload_bar=0.85),
    "dense-512": Row("dense, beyond RAM", DENSE_SMALL, 512, 2, GPU_BUDGET_SMALL, limit=0.5,
                     llama=("fit",), prompt_bar=1),
    "dense": Row("dense, on GPU, RAM and drive", DENSE, 50, 8, GPU_BUDGET, ram=RAM_BUDGET,
                 drive_bar=0.9),
}


class OutOfTime(Exception):
    """The stage ends; another call goes on."""


def seconds_left():
    return int(os.environ["STAGE_BEGIN"]) + int(os.environ["STAGE_SECONDS"]) - time.time()


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return ([line for line in lines if line.startswith("error")] or lines or ["no output"])[-1]


def output_of(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Programs:
    def __init__(self, gpu):
        release = os.path.join(REPO, "build/release" if gpu == "none" else f"build/release-{gpu}")
        self.hypura = os.path.join(release, "src/cli/hypura")
        self.generator = os.path.join(release, "bench/hypura_make_model")
        paths = output_of(os.path.join(REPO, "tools/bootstrap.sh"), "paths", gpu)
        build = re.search(r"-DHYPURA_LLAMA_BUILD=(\S+)", paths)[1]
        self.completion = os.path.join(build, "bin/llama-completion")
        self.server = os.path.join(build, "bin/llama-server")
        self.has_gpu = gpu != "none"


class Samples:
    """What was measured of these rows with this build of hypura, in a file that only grows."""

    def __init__(self, program):
        self.program = digest(program)
        self.all = []
        if os.path.exists(SAMPLES):
            with open(SAMPLES) as file:
                read = [json.loads(line) for line in file]
            self.all = [s for s in read if s["program"] == self.program
                        and s["setting"] == ROWS[s["row"]].setting]

    def keep(self, row, arm, sample):
        sample = {"program": self.program, "row": row, "setting": ROWS[row].setting, "arm": arm,
                  "date": datetime.datetime.now().isoformat("T", "seconds"), **sample}
        self.all.append(sample)
        os.makedirs(FOLDER, exist_ok=True)
        with open(SAMPLES, "a") as file:
            file.write(json.dumps(sample) + "\n")
        return sample

    def of(self, row, arm=None):
        return [s for s in self.all if s["row"] == row and arm in (None, s["arm"])]


def write_model(programs, row):
    if os.path.exists(row.model):
        return
    size = int(output_of(programs.generator, *row.shape, "--size"))
    os.makedirs(os.path.dirname(row.model), exist_ok=True)
    disk = os.statvfs(os.path.dirname(row.model))
    free = disk.f_bavail * disk.f_frsize
    if free < size + SPARE_BYTES:
        sys.exit(f"error: {row.name} needs {(size + SPARE_BYTES) / GB:.1f} GB, "
                 f"{free / GB:.1f} are free\n"
                 "  try: bench/gpu.sh all, which has one at a time, or other presets")
    print(f"writing {row.name}, {size / GB:.1f} GB", flush=True)
    make_model(programs.generator, row.shape, row.model)


def write_prompt(row):
    file = os.path.join(FOLDER, f"gpu-prompt-{row.prompt}.txt")
    os.makedirs(FOLDER, exist_ok=True)
    letters = row.prompt * len(SENTENCE) // 60
    with open(file, "w") as out:
        out.write((SENTENCE * (letters // len(SENTENCE) + 1))[:letters])
    return file


class RowRun:
    """Takes the samples of a row that are not there yet. Raises OutOfTime."""

    def __init__(self, programs, samples, name):
        self.programs, self.samples = programs, samples
        self.name, self.row = name, ROWS[name]

    def run(self):
        row = self.row
        print(f"{self.name}: {row.title}", flush=True)
        if not self.profiles():
            self.profile(0)
        llama = self.choose_llama()
        for number in range(row.rounds):
            if any(s["round"] == number for s in self.mine("hypura")):
                continue
            # What is compared with the drive needs the drive of the same minutes.
            of_drive = row.drive_bar or row.bound_bar
            if of_drive and not any(s["round"] == number for s in self.mine("profile")):
                self.profile(number)
            self.sample("hypura", number, None)
        if row.prompt_bar or row.upload_bar:
            self.serve(llama)
        self.samples.keep(self.name, "done", {"asked": row.asked})

    def mine(self, arm):
        return self.samples.of(self.name, arm)

    def profiles(self):
        """Of this machine with this model's drive, whichever row took them."""
        return [s for s in self.samples.all if s["arm"] == "profile"
                and s["setting"][0] == self.row.name]

    def choose_llama(self):
        """Every way of llama.cpp once; names and options of the best, decoding and prompts."""
        placements = self.row.placements if self.programs.has_gpu else self.row.placements[:1]
        # Its first run learns how the model routes.
        if len(self.row.llama) > 1 and not self.mine("hypura"):
            self.sample("hypura", -1, None)
        if len(placements) < 2:
            return {placement: self.place(placement) for placement in placements}
        numerics = self.mine("hypura")[0].get("run", {}).get("numerics")
        ways = {}
        for placement in placements:
            words = self.place(placement)
            ways[placement] = words
            if numerics:
                ways[f"{placement}, {numerics['threads']} threads"] = [
                    *words, "-t", str(numerics["threads"]), "-tb", str(numerics["threads_batch"])]
            for way, options in ways.items():
                if not self.mine(way):
                    self.sample(way, -1, options)
        ran = [self.mine(way)[0] for way in ways if "failure" not in self.mine(way)[0]]
        if not ran:
            why = self.mine(placements[0])[0]["failure"]
            sys.exit(f"error: no placement of llama.cpp ran: {why}")
        best = [max(ran, key=lambda s: s[speed])["arm"] for speed in ("decode_tps", "prompt_tps")]
        if all(way.startswith("fit") for way in best):
            best = best[:1]  # a second one would fit into what the first leaves
        return {way: ways[way] for way in best}

    def place(self, placement):
        """llama.cpp's options. hypura's budget holds KV and activations, too, so theirs does."""
        if not self.programs.has_gpu:
            return ["-ngl", "0"]
        if placement == "fit":
            gpu = self.profiles()[0]["profile"]["gpus"][0]
            margin = gpu["working_set_bytes"] - self.budget_bytes()
            return ["--fit", "on", "--fit-target", str(max(0, margin // MIB))]
        words = ["-ngl", "999", "--fit", "off"]
        if placement == "cpu-moe":
            words += ["--cpu-moe"]
        if placement == "n-cpu-moe":
            words += ["--n-cpu-moe", str(self.layers_on_cpu())]
        return words

    def budget_bytes(self):
        return int(float(self.row.gpu[:-1]) * 2 ** {"M": 20, "G": 30}[self.row.gpu[-1]])

    def layers_on_cpu(self):
        """The fewest, by what all but the experts took."""
        heat = self.mine("cpu-moe")[0]
        free = self.budget_bytes() - heat.get("gpu_bytes", self.budget_bytes())
        listed = json.loads(output_of(self.programs.hypura, "inspect", self.row.model, "--tensors",
                                      "--json"))
        layers = {}
        for tensor in listed["tensors"]:
            if match := re.match(r"blk\.(\d+)\.ffn_\w+_exps\.", tensor["name"]):
                layers[int(match[1])] = layers.get(int(match[1]), 0) + tensor["bytes"]
        count = len(layers)
        while count > 0 and layers[count - 1] <= free:
            count -= 1
            free -= layers[count]
        return count

    def sample(self, arm, number, options):
        if arm == "hypura":
            words, read = self.hypura_words(), read_hypura
        else:
            words, read = self.llama_words(options), read_llama
        out, err, seconds = self.child(arm, words, self.row.limit)
        sample = self.samples.keep(self.name, arm, {"round": number, "seconds": seconds,
                                                    "command": words, **read(out, err)})
        told = sample.get("failure") or (f"{sample['decode_tps']:.2f} tok/s, prompt of "
                                         f"{sample['prompt_tokens']} at {sample['prompt_tps']:.1f}")
        print(f"  {'heat' if number < 0 else f'{number + 1}/{self.row.rounds}'} {arm}: {told}",
              flush=True)

    def serve(self, llama):
        """Servers beside each other, asked in turns for what is not there yet."""
        # Its fit first: what that leaves free is counted from an empty GPU.
        words = {arm: self.server_words(llama[arm])
                 for arm in sorted(llama, key=lambda arm: (not arm.startswith("fit"), arm))}
        words["hypura"] = [self.programs.hypura, "serve", self.row.model, *self.sizes(),
                           *self.budgets(), "--parallel", "1"]
        lengths = (self.row.prompt, *self.row.others)
        known = self.exchanges()
        todo = [(number, length) for number in range(PAIRS) for length in lengths
                if length == self.row.prompt or number < OTHER_PAIRS
                if not all((arm, number, length) in known for arm in words)]
        if not todo:
            return
        if seconds_left() < UNKNOWN_SECONDS:
            raise OutOfTime
        with contextlib.ExitStack() as running:
            running.enter_context(self.cache())
            servers = {}
            if self.row.limit:
                drop_page_cache()
            for place, arm in enumerate(words):
                enter = None
                if self.row.limit:
                    enter = running.enter_context(MemoryGroup(self.limit_bytes(), place)).enter
                servers[arm] = running.enter_context(
                    ServerProcess(words[arm], enter, min(SAMPLE_SECONDS, max(1, seconds_left()))))
            # Each pays for what is done once.
            for number, length in [(-1, self.row.prompt), *todo]:
                self.exchange(servers, number, length)

    def server_words(self, options):
        # Without the cache of prompts, whose memory would be the weights'.
        return [self.programs.server, "-m", self.row.model, *self.sizes(), *self.loading(),
                *options, "--parallel", "1", "--cache-ram", "0", "--no-warmup"]

    def exchanges(self):
        return {(s["arm"].removesuffix(served("")), s["round"], s["length"])
                for s in self.samples.of(self.name) if s["arm"].endswith(served(""))}

    def exchange(self, servers, number, length):
        draw = random.Random(1000 * number + length)
        prompt = [draw.randrange(300, 2048) for _ in range(length)]  # all presets have these
        told = []
        for arm in sorted(servers, reverse=number % 2 == 0):
            known = [s["seconds"] for s in self.mine(served(arm)) if s["length"] == length]
            if seconds_left() < 1.5 * max(known, default=UNKNOWN_SECONDS / 3):
                raise OutOfTime
            servers[arm].timeout = min(SAMPLE_SECONDS, seconds_left())
            begin = time.monotonic()
            answer, more = self.ask(servers[arm], prompt)
            times = answer["timings"]
            sample = self.samples.keep(self.name, served(arm), {
                "round": number, "length": length, "seconds": time.monotonic() - begin,
                "command": servers[arm].words, "text": answer["content"],
                "prompt_tps": times["prompt_per_second"],
                # The first token is the prompt's.
                "decode_tps": 1e3 * (times["predicted_n"] - 1) / max(1e-3, times["predicted_ms"]),
                **more})
            told.append(f"{arm} {sample['prompt_tps']:.1f}, {sample['decode_tps']:.2f}")
        print(f"  {number + 1}/{PAIRS} prompt of {length}, decode, tok/s: {'; '.join(told)}",
              flush=True)

    def ask(self, server, prompt):
        """An answer, and what a sample keeps of it beside its speeds."""
        if not self.row.upload_bar:
            is_main = len(prompt) == self.row.prompt
            return server.complete(prompt, self.row.served_tokens if is_main else 1), {}
        # Tokens leave other experts in the GPU's memory than a run begins with.
        server.complete(prompt[:TOKENS_BEFORE], self.row.tokens)
        before = server.counted(COPIED)
        answer = server.complete(prompt, 1)
        return answer, {"copied_bytes": server.counted(COPIED) - before}

    def limit_bytes(self):
        return int(self.row.limit * os.path.getsize(self.row.model))

    def sizes(self):
        row = self.row
        return ["-c", str(row.context), "-b", str(max(row.micro_batch, 2048)), "-ub",
                str(row.micro_batch)]

    def words(self, tokens):
        return ["-f", write_prompt(self.row), "-n", str(tokens), "--temp", "0", "--ignore-eos",
                *self.sizes()]

    def budgets(self):
        return ["--ram-budget", self.row.ram, "--gpu-budget",
                self.row.gpu if self.programs.has_gpu else "0"]

    def loading(self):
        """What is read into memory is pinned there: it goes up the bus faster than a mapping."""
        return ["-lm", "mmap", "--no-repack"] if self.row.limit else ["-lm", "none"]

    def hypura_words(self):
        return [self.programs.hypura, "run", self.row.model, *self.words(self.row.tokens),
                *self.budgets(), "--no-history", "--json"]

    def llama_words(self, options):
        row = self.row
        return [self.programs.completion, "-m", row.model,
                *self.words(SLOW_TOKENS if row.limit else row.tokens), "-no-cnv", "--no-warmup",
                "--no-display-prompt", "-lv", "4", *self.loading(), *options]

    def profile(self, number):
        """The machine, with its drive and the GPU's bus as they are in these minutes."""
        words = [self.programs.hypura, "profile", self.row.model, "--force", "--json"]
        out, err, seconds = self.child("profile", words, 0)
        if not out:
            sys.exit(f"error: {' '.join(words)}: {last_line(err)}")
        self.samples.keep(self.name, "profile", {"round": number, "seconds": seconds,
                                                 "profile": json.loads(out)})

    def child(self, arm, words, limit):
        """Output, errors and seconds."""
        with self.memory(arm, limit) as enter, self.cache():
            return wait(words, enter)

    @contextlib.contextmanager
    def cache(self):
        """What hypura knows: all, or of machines only."""
        if not self.row.first:
            yield
            return
        profiles = os.path.join(CACHE, "hypura/profiles")
        os.makedirs(profiles, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "hypura"))
            os.symlink(profiles, os.path.join(folder, "hypura/profiles"))
            with mock.patch.dict(os.environ, XDG_CACHE_HOME=folder):
                yield

    @contextlib.contextmanager
    def memory(self, arm, limit):
        """How a sample enters its memory, cold if limited. Raises OutOfTime if it may not end."""
        known = [s["seconds"] for s in self.mine(arm)]
        needed = min(SAMPLE_SECONDS, 1.3 * max(known) + 5) if known else UNKNOWN_SECONDS
        if seconds_left() < needed:
            raise OutOfTime
        if not limit:
            yield None
            return
        drop_page_cache()
        with MemoryGroup(self.limit_bytes()) as group:
            yield group.enter


def wait(words, enter):
    limit = min(SAMPLE_SECONDS, seconds_left())
    begin = time.monotonic()
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", preexec_fn=enter, timeout=limit)
    except subprocess.TimeoutExpired:
        if limit < SAMPLE_SECONDS:
            raise OutOfTime from None
        return "", f"more than {SAMPLE_SECONDS} s", SAMPLE_SECONDS
    told = done.stderr
    if done.returncode < 0:  # of a group that ran out of memory: SIGKILL
        told += f"\nerror: ended by {signal.Signals(-done.returncode).name}"
    return done.stdout, told, time.monotonic() - begin


def read_hypura(out, err):
    try:
        run = json.loads(out)
    except ValueError:
        return {"failure": last_line(err)}
    gpu = run["gpu"] or {}
    held = sum(gpu.get(key, 0) for key in ("weight_bytes", "kv_bytes", "compute_bytes"))
    return {"text": run.pop("text"), "decode_tps": run["decode_tps"],
            "prompt_tps": run["prefill_tps"], "prompt_tokens": run["prompt_tokens"],
            "gpu_bytes": held, "run": run}


def read_llama(out, err):
    speeds = re.findall(r"(prompt )?eval time = .*?/ +(\d+) .*?([\d.]+) tokens per second", err)
    told = {"prompt" if prompt else "decode": (int(count), float(tps))
            for prompt, count, tps in speeds}
    total = re.search(r"total time = +([\d.]+) ms", err)
    prompt = re.search(r"prompt eval time = +([\d.]+) ms", err)
    if len(told) < 2 or not total or not prompt:
        return {"failure": last_line(err)}
    # Its own figure for decoding leaves sampling out.
    decode_seconds = (float(total[1]) - float(prompt[1])) / 1e3
    buffers = re.findall(r"(\S+) +(?:model|KV|RS|compute) buffer size = +([\d.]+) MiB", err)
    on_gpu = [float(size) for device, size in buffers
              if not device.startswith("CPU") and not device.endswith("_Host")]
    return {"text": out, "decode_tps": told["decode"][0] / decode_seconds,
            "prompt_tps": told["prompt"][1], "prompt_tokens": told["prompt"][0],
            "gpu_bytes": int(sum(on_gpu) * MIB)}


def run_rows(programs, samples, stage, names):
    todo = [name for name in names
            if not any(s.get("asked") == ROWS[name].asked for s in samples.of(name, "done"))]
    for name in todo[:]:
        if seconds_left() < UNKNOWN_SECONDS:
            raise OutOfTime
        write_model(programs, ROWS[name])
        if stage == "models":
            continue
        try:
            RowRun(programs, samples, name).run()
        except ServerError as error:
            if seconds_left() < 1:
                raise OutOfTime from None
            samples.keep(name, "servers", {"round": 0, "failure": str(error)})
        todo.remove(name)
        if stage == "all" and not KEEP and ROWS[name].model not in [ROWS[n].model for n in todo]:
            os.remove(ROWS[name].model)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("models", "table", "all"))
    parser.add_argument("gpu")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    options = parser.parse_args()
    names = options.rows or list(ROWS)
    for name in names:
        if name not in ROWS:
            parser.error(f"unknown row {name}: {', '.join(ROWS)}")
        row = ROWS[name]
        if row.llama and not row.placements:
            parser.error(f"PLACEMENTS has none of {name}: {', '.join(row.llama)}")
        if "n-cpu-moe" in row.placements and "cpu-moe" not in row.placements:
            parser.error(f"{name}: n-cpu-moe needs cpu-moe, which says what the others take")
    programs = Programs(options.gpu)
    samples = Samples(programs.hypura)
    try:
        run_rows(programs, samples, options.stage, names)
    except OutOfTime:
        print("not done yet: the same command goes on", file=sys.stderr)
        sys.exit(MORE_TO_DO)
    finally:
        if options.stage != "models":
            write_table({name: ROWS[name] for name in ROWS if samples.of(name)}, samples, FOLDER)


if __name__ == "__main__":
    main()
