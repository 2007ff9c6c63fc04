#!/usr/bin/env python3
"""Predicted and actual speeds over models and budgets, as a table: `make bench-prediction`.

Each cell runs SAMPLES times, cold, cells one after the other and all of them again, so that a slow minute
does not hit all samples of one; before each round the machine is profiled. The prediction is the run's
own, before it computed anything. Errors are |predicted / median actual - 1|, without past runs.

Then, without running again, what past runs would have made of them: a history with one run a cell, the
median, in a cache folder of its own, of which `hypura doctor` tells the error of each cell as predicted
with the help of all others.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing may appear beside the sources
from measure import REPO, SENTENCE, drop_page_cache, make_model  # noqa: E402

MAKE = os.path.join(REPO, "build/release/bench/hypura_make_model")
HYPURA = os.path.join(REPO, "build/release/src/cli/hypura")

# Shapes, quants and sizes of weights. None of them was used to choose a constant of the cost model.
MODELS = {
    "dense-3g": ["--preset", "dense-3g"],
    "moe-7g": ["--preset", "moe-7g"],
    "dense-q8": ["--arch", "qwen3", "--layers", "28", "--embd", "1536", "--ff", "6144", "--heads",
                 "16", "--kv-heads", "8", "--head-dim", "128", "--vocab", "16000", "--quant", "q8_0"],
    "moe-q5": ["--arch", "qwen3moe", "--layers", "12", "--embd", "1536", "--heads", "16",
               "--kv-heads", "4", "--head-dim", "128", "--experts", "32", "--used", "4",
               "--expert-ff", "1024", "--vocab", "16000", "--quant", "q5_K"],
}
BUDGETS = ["25%", "40%", "60%", "80%"]
PROMPT = SENTENCE * 6


def run(model, budget, tokens):
    drop_page_cache()
    command = [HYPURA, "run", model, "-p", PROMPT, "-n", str(tokens), "--temp", "0", "--ignore-eos",
               "--ctx", "1024", "--ram-budget", budget, "--no-history", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME", "")
    return home if home.startswith("/") else os.path.expanduser("~/.cache")


def with_history(model, cells):
    """Median errors by phase, each cell predicted with the others as past runs; None without records."""
    runs = []
    for samples in cells.values():
        records = [s["history"]["record"] for s in samples if s["history"] and s["history"]["record"]]
        if not records:
            continue
        run = dict(records[-1])  # of the profile that doctor will find
        for phase in ("decode", "prompt"):
            known = [record[phase] for record in records if record[phase]]
            run[phase] = known and {**known[0], **{
                key: statistics.median(speed[key] for speed in known)
                for key in ("predicted_tps", "actual_tps")}} or None
        runs.append(run)
    with tempfile.TemporaryDirectory(prefix="hypura-history-") as cache:
        os.makedirs(os.path.join(cache, "hypura/history"))
        shutil.copytree(os.path.join(cache_folder(), "hypura/profiles"),
                        os.path.join(cache, "hypura/profiles"))
        with open(os.path.join(cache, "hypura/history/runs.json"), "w") as file:
            json.dump({"schema": 1, "kind": "hypura history", "runs": runs}, file)
        done = subprocess.run([HYPURA, "doctor", model, "--json"], capture_output=True, text=True,
                              check=True, env={**os.environ, "XDG_CACHE_HOME": cache})
    past = json.loads(done.stdout)["history"]
    return {"decode": past["decode"], "prefill": past["prompt"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--save", default=os.path.join(REPO, "build/bench/prediction.json"))
    options = parser.parse_args()

    os.makedirs(os.path.dirname(options.save), exist_ok=True)
    files = {}
    for name, shape in MODELS.items():
        files[name] = os.path.join(REPO, f"build/models/{name}.gguf")
        make_model(MAKE, shape, files[name])

    cells = {(name, budget): [] for name in MODELS for budget in BUDGETS}
    for _ in range(options.samples):
        subprocess.run([HYPURA, "profile", files["moe-7g"], "--force", "--json"], check=True,
                       stdout=subprocess.DEVNULL)
        for name, budget in cells:
            tokens = 32 if name.startswith("moe") else 12
            cells[name, budget].append(run(files[name], budget, tokens))

    print("| model | budget | mode | decode predicted | actual | error | prompt predicted | actual | error |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    errors = {"decode": [], "prefill": []}
    for (name, budget), samples in cells.items():
        row = [name, budget.replace("%", " %"), samples[0]["mode"]]
        for what in errors:
            predicted = statistics.median(s[f"predicted_{what}_tps"] for s in samples)
            actual = statistics.median(s[f"{what}_tps"] for s in samples)
            error = predicted / actual - 1
            errors[what].append(abs(error))
            row += [f"{predicted:.2f}", f"{actual:.2f}", f"{100 * error:+.0f} %"]
        print("| " + " | ".join(row) + " |")
    with open(options.save, "w") as file:
        json.dump([{"model": name, "budget": budget, "samples": samples}
                   for (name, budget), samples in cells.items()], file, indent=1)
    past = with_history(files["moe-7g"], cells)
    for what, values in errors.items():
        print(f"\n{what}: median error {100 * statistics.median(values):.0f} %, worst "
              f"{100 * max(values):.0f} %, {len(values)} cells of {options.samples} samples; "
              f"with the other {past[what]['runs'] - 1} cells as history "
              f"{100 * past[what]['median_error']:.0f} %")


if __name__ == "__main__":
    main()
