"""The table of bench/gpu.py, from its samples, as Markdown and JSON."""

import json
import os
import statistics
import subprocess

from measure import interval

GB = 1e9
FEW = 6


def served(arm):
    """What `arm` is called as a server."""
    return f"{arm} server"


def spread(values, digits):
    """The median and its interval; of few, which say nothing of one, the least and the most."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}" if values else "-"
    low, high = (min(values), max(values)) if len(values) < FEW else interval(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def good(samples):
    """By round."""
    return {s["round"]: s for s in samples if s["round"] >= 0 and "failure" not in s}


def exchanges(samples, name, length):
    """Of servers: by arm, then by round."""
    arms = {}
    for s in samples.of(name):
        if s["arm"].endswith(served("")) and s["length"] == length and s["round"] >= 0:
            arms.setdefault(s["arm"].removesuffix(served("")), {})[s["round"]] = s
    return arms


def server_lines(samples, name, row):
    """hypura beside the best of llama.cpp, for decoding and prompts; ratios of one round each."""
    for length in (row.prompt, *row.others):
        arms = exchanges(samples, name, length)
        ours = arms.pop("hypura", None)
        if not ours or not arms:
            continue
        figures = [(f"prompt of {length}, tok/s", "prompt_tps", row.prompt_bar)]
        if length == row.prompt and row.decode_bar:
            figures.insert(0, ("decode, tok/s", "decode_tps", row.decode_bar))
        for what, speed, bar in figures:
            median = {arm: statistics.median(s[speed] for s in runs.values())
                      for arm, runs in arms.items()}
            best = max(median, key=median.get)
            theirs = arms[best]
            yield {"what": what, "hypura": [s[speed] for s in ours.values()],
                   "llama": [s[speed] for s in theirs.values()], "llama_arm": best,
                   "ratios": [s[speed] / theirs[n][speed] for n, s in ours.items() if n in theirs],
                   "bar": bar}


def first_lines(samples, name, row):
    """The first prompt of a server, which pays for what is done once."""
    first = {s["arm"].removesuffix(served("")): s for s in samples.of(name)
             if s["arm"].endswith(served("")) and s["round"] < 0}
    ours = first.pop("hypura", None)
    if ours and first:
        best = max(first, key=lambda arm: first[arm]["prompt_tps"])
        yield {"what": f"first prompt of {row.prompt}, tok/s", "hypura": [ours["prompt_tps"]],
               "llama": [first[best]["prompt_tps"]], "llama_arm": best,
               "ratios": [ours["prompt_tps"] / first[best]["prompt_tps"]], "bar": ""}


def same_texts(samples, name, row):
    """How often the servers answered the same, where other kernels compute the same weights."""
    arms = exchanges(samples, name, row.prompt)
    ours = arms.pop("hypura", {})
    for arm, theirs in arms.items():
        both = [n for n in ours if n in theirs]
        same = sum(ours[n]["text"] == theirs[n]["text"] for n in both)
        yield f"- {name}: {same} of {len(both)} answers are those of {arm}"


def bound_lines(samples, name, row):
    """How near a token comes to what drive and processors allow, and reading to the raw drive."""
    runs = [s["run"] for s in good(samples.of(name, "hypura")).values()]
    near = [run for run in runs if run["io_efficiency"]]
    if row.bound_bar and near:
        yield {"what": "decode, of its bound, tok/s", "hypura": [run["decode_tps"] for run in near],
               "ratios": [run["io_efficiency"] for run in near], "bar": row.bound_bar}
    reads = [(run["decode"]["bytes_read"] / GB / run["decode"]["seconds"], run["io_roofline_gbps"])
             for run in runs if run["io_roofline_gbps"]]
    if row.drive_bar and reads:
        yield {"what": "decode, of the raw drive, GB/s", "hypura": [gbps for gbps, _ in reads],
               "ratios": [gbps / raw for gbps, raw in reads], "bar": row.drive_bar}


def upload_lines(samples, name, row):
    """What a prompt brings to the GPU, over its seconds; of the bus, pinned."""
    profiles = [s for s in samples.all if s["arm"] == "profile" and s["setting"][0] == row.name
                and s["profile"]["gpus"]]
    later = exchanges(samples, name, row.prompt).get("hypura")
    if not row.upload_bar or not profiles or not later:
        return
    raw = statistics.median(s["profile"]["gpus"][0]["upload_gbps"] for s in profiles)
    reached = [s["copied_bytes"] * s["prompt_tps"] / s["length"] / GB for s in later.values()]
    yield {"what": f"prompt, of {raw:.1f} GB/s of pinned uploads, GB/s", "hypura": reached,
           "ratios": [gbps / raw for gbps in reached], "bar": row.upload_bar}


def driver():
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", driver {told[0]}" if told else ""


def machine_line(samples):
    taken = [s for s in samples.all if s["arm"] == "profile"]
    if not taken:
        return "nothing measured yet"
    profile = taken[-1]["profile"]
    gpus = ", ".join(f"{gpu['name']} ({gpu['backend']})" for gpu in profile["gpus"]) or "no GPU"
    memory = profile["memory"]["total_bytes"] / GB
    return (f"{gpus}{driver()}; {profile['cpu']}, {profile['cores']} cores, {memory:.0f} GB; "
            f"{profile['system']}; {taken[-1]['date'][:10]}")


def write_table(rows, samples, folder):
    """gpu.md and gpu.json in `folder`, and the former on stdout."""
    text = [machine_line(samples), "",
            "| weights | model, GPU budget | what | hypura | llama.cpp, best | ratio, of | bar |",
            "| --- | --- | --- | --- | --- | --- | --- |"]
    cells = []
    for name, row in rows.items():
        for lines in (server_lines, first_lines, bound_lines, upload_lines):
            for line in lines(samples, name, row):
                cells.append({"row": name, "model": row.name, "gpu_budget": row.gpu, **line})
                theirs = ""
                if "llama" in line:
                    theirs = f"{spread(line['llama'], 2)}, {line['llama_arm']}"
                ratios = line["ratios"]
                words = [row.title, f"{row.name}, {row.gpu}", line["what"],
                         spread(line["hypura"], 2), theirs, f"{spread(ratios, 3)}, {len(ratios)}",
                         str(line["bar"])]
                text.append(f"| {' | '.join(words)} |")
    notes = [f"- {s['row']}, {s['arm']}: {s['failure']}" for s in samples.all if "failure" in s]
    for name in rows:
        # What learns how the model routes may place it otherwise.
        texts = {s["text"] for s in good(samples.of(name, "hypura")).values()}
        if len(texts) > 1:
            notes.append(f"- {name}: hypura wrote {len(texts)} different texts")
        notes += same_texts(samples, name, rows[name])
    if notes:
        text += ["", *notes]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "gpu.md"), "w") as file:
        file.write("\n".join(text) + "\n")
    with open(os.path.join(folder, "gpu.json"), "w") as file:
        json.dump({"schema": 1, "machine": text[0], "program": samples.program, "cells": cells,
                   "notes": notes}, file, indent=1)
    print("\n".join(text))
