#!/usr/bin/env python3
"""Compares hypura with llama.cpp under one memory limit, in interleaved runs A B A B ...

  bench/compare.py --model build/models/moe-7g.gguf --budget 40% --pairs 6

Each run gets a fresh control group without swap and an empty page cache: pages that an earlier run
left would not count against the limit. The limit is the budget given to hypura plus --base, and is
the same for both. Every sample's text and log stay in the results folder. Runs as root.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.dont_write_bytecode = True  # the modules beside us leave nothing in the source tree

import arms  # noqa: E402
import interval  # noqa: E402
from memory_group import MemoryGroup, drop_page_cache  # noqa: E402

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def parse_size(text, whole=None):
    """'3G', '512M', '4096' or '40%' of `whole`."""
    if text.endswith("%") and whole is not None:
        return int(float(text[:-1]) * whole / 100)
    number = text.lower().removesuffix("b").removesuffix("i")
    unit = number[-1:] if number[-1:] in UNITS else ""
    return int(float(number.removesuffix(unit)) * UNITS[unit])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--self-test", action="store_true", help="check the statistics and the parsers")
    add("--model", help="a GGUF file; of a split one the first shard")
    add("--budget", default="40%", help="hypura's --ram-budget: bytes or a share of the file")
    add("--limit", help="of both: bytes, a share, or 'none'; default: the budget plus --base")
    add("--base", default="256M", help="for the process itself (default %(default)s)")
    add("--pairs", type=int, default=6, help="6 are the fewest that give a 95 %% interval")
    add("--n-hypura", type=int, default=64, help="tokens a run of hypura")
    add("--n-stock", type=int, default=16, help="tokens a run of llama.cpp")
    add("--timeout", type=float, default=600, help="seconds a run; then it is cut off")
    add("--warm", action="store_true", help="leave the page cache as it is (not for limits)")
    add("--prompt", default="Tell me about the river and the old mill.")
    add("--threads", "-t", type=int, default=os.cpu_count())
    add("--ctx", "-c", type=int, default=1024)
    add("--ubatch", "-ub", type=int, default=512)
    add("--common-args", default="", help="for both, e.g. '-fa on'")
    add("--hypura-args", default="")
    add("--stock-args", default="")
    add("--stock-repack", action="store_true", help="let llama.cpp repack (needs all of the file)")
    add("--hypura", default="build/hypura")
    add("--stock", default="llama-completion", help="llama.cpp's llama-completion")
    add("--out", help="results folder; default: build/bench/MODEL-TIME")
    options = parser.parse_args()
    if not options.self_test and not options.model:
        parser.error("--model is missing")
    return options


def model_bytes(path):
    """The size of the file, over all shards of a split one."""
    path = Path(path)
    name, _, count = path.name.partition("-00001-of-")
    if not count:
        return path.stat().st_size
    return sum(shard.stat().st_size for shard in path.parent.glob(f"{name}-?????-of-{count}"))


def resolve(options):
    """Turns shares of the file into bytes."""
    size = model_bytes(options.model)
    auto = options.budget == "auto"
    options.budget_bytes = None if auto else parse_size(options.budget, size)
    if options.limit == "none" or (options.limit is None and auto):
        options.limit_bytes = None
    elif options.limit:
        options.limit_bytes = parse_size(options.limit, size)
    else:
        options.limit_bytes = options.budget_bytes + parse_size(options.base)
    if options.limit_bytes is not None or not options.warm:
        if os.geteuid() != 0:
            sys.exit("error: a memory limit and an empty page cache need root\n"
                     "  try: sudo, or --limit none --warm")


def run_sample(arm, index, options, folder):
    if not options.warm:
        drop_page_cache()
    stem = folder / f"{index:02}-{arm.name}"
    out, err = Path(f"{stem}.out"), Path(f"{stem}.log")
    with MemoryGroup(f"hypura-bench-{os.getpid()}-{index}", options.limit_bytes) as group:
        with out.open("wb") as stdout, err.open("wb") as stderr:
            status, cut_off = group.run(arm.command(), options.timeout, stdout=stdout,
                                        stderr=stderr)
        peak = group.peak_bytes()
    try:
        sample = arm.parse(out.read_text(errors="replace"), err.read_text(errors="replace"))
    except (ValueError, KeyError) as problem:
        why = "killed, out of memory" if status in (-9, 137) and not cut_off else str(problem)
        sample = arms.Sample(failure=f"exit {status}: {why}" + (", timed out" if cut_off else ""))
    sample.peak_bytes = peak
    Path(f"{stem}.txt").write_text(sample.text)
    rate = sample.failure or f"{sample.decode_tps:.2f} tok/s over {sample.tokens} tokens"
    print(f"  {index:2} {arm.name:10} {rate}" + (", cut off" if cut_off else ""), flush=True)
    return sample


def compare_texts(samples):
    """Greedy runs of one model should say the same, as far as the shortest goes."""
    texts = [sample.text.strip() for sample in samples if sample.text.strip()]
    common = len(os.path.commonprefix(texts))
    shortest = min((len(text) for text in texts), default=0)
    # Bytes of a cut-off character may have become a replacement character.
    if common < shortest - 1:
        return f"Texts DIFFER after {common} characters."
    return f"Texts are equal over the {common} characters that all have."


def describe_machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
               platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB RAM, Linux {platform.release()}"


def gib(value):
    return "none" if value is None else f"{value / 2**30:.2f} GiB"


def table(options, results, load):
    """The results as Markdown."""
    lines = [
        f"Model {Path(options.model).name}, {gib(model_bytes(options.model))}; "
        f"limit {gib(options.limit_bytes)}, no swap; budget {gib(options.budget_bytes)}; "
        f"{'warm' if options.warm else 'cold'}; {options.threads} threads; greedy; "
        f"{options.pairs} interleaved pairs.",
        f"Machine: {describe_machine()}. Load before the first run: {load:.1f}.", "",
        "| arm | decode tok/s (median) | interval | coverage | prompt tok/s | tokens a run "
        "| peak in group |",
        "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, samples in results.items():
        done = [s for s in samples if s.decode_tps]
        if not done:
            lines.append(f"| {name} | failed: {samples[0].failure} | | | | | |")
            continue
        middle, low, high, sure = interval.median_interval([s.decode_tps for s in done])
        prompt = interval.median_interval([s.prefill_tps or 0 for s in done])[0]
        peak = max((s.peak_bytes or 0 for s in done)) or None
        lines.append(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {sure:.1%} "
                     f"| {prompt:.2f} | {max(s.tokens for s in done)} | {gib(peak)} |")
    lines += ["", ratio_line(results)]
    everything = [sample for samples in results.values() for sample in samples]
    lines.append(compare_texts(everything))
    return "\n".join(lines) + "\n"


def ratio_line(results):
    ours, theirs = results.values()
    ratios = [a.decode_tps / b.decode_tps for a, b in zip(ours, theirs)
              if a.decode_tps and b.decode_tps]
    if not ratios:
        return "Ratio: no pair completed."
    middle, low, high, sure = interval.median_interval(ratios)
    return (f"Ratio {' / '.join(results)}: median **{middle:.2f}x**, {low:.2f} to {high:.2f} "
            f"({sure:.1%} interval of {len(ratios)} pairs).")


def compare(options):
    resolve(options)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = Path(options.out or f"build/bench/{Path(options.model).stem}-{stamp}")
    folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the load is {load:.1f}; other work makes spinning threads very slow",
              file=sys.stderr)
    contenders = [arms.Hypura(options), arms.Stock(options)]
    for arm in contenders:
        print(f"{arm.name}: {' '.join(arm.command())}")

    results = {arm.name: [] for arm in contenders}
    index = 0
    for _ in range(options.pairs):
        for arm in contenders:
            index += 1
            results[arm.name].append(run_sample(arm, index, options, folder))
    text = table(options, results, load)
    (folder / "table.md").write_text(text)
    (folder / "results.json").write_text(json.dumps(
        {"schema": 1, "machine": describe_machine(), "options": vars(options),
         "commands": {arm.name: arm.command() for arm in contenders},
         "samples": {name: [asdict(s) for s in samples] for name, samples in results.items()}},
        indent=1))
    print(f"\n{text}\n{folder}")
    return all(sample.decode_tps for sample in results["hypura"])


def self_test():
    interval.self_test()
    arms.self_test()
    assert parse_size("40%", 1000) == 400 and parse_size("3GiB") == 3 * 2**30
    assert parse_size("1.5m") == 3 * 2**19 and parse_size("4096") == 4096
    sample = arms.Sample
    assert "equal over the 8" in compare_texts([sample(text="abcdefgh"), sample(text="abcdefghij")])
    assert "DIFFER after 2" in compare_texts([sample(text="abcdefgh"), sample(text="abXdefgh")])
    pairs = {"a": [sample(decode_tps=4.0), sample(decode_tps=6.0), sample(failure="x")],
             "b": [sample(decode_tps=2.0), sample(decode_tps=2.0), sample(decode_tps=2.0)]}
    assert "**2.50x**, 2.00 to 3.00 (50.0% interval of 2 pairs)" in ratio_line(pairs)
    print("compare: self-test passed")


def main():
    options = parse_options()
    if options.self_test:
        return self_test()
    try:
        sys.exit(0 if compare(options) else 1)
    except (FileNotFoundError, subprocess.SubprocessError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
