#!/usr/bin/env python3
"""Whether any other plan beats the chosen one in real runs, as a table: `make bench-sweep`.

For each model, `hypura plan --save` decides; variants of that file pin less, give experts fewer
slots, read further or less far ahead, or take other micro-batches. Chosen plan and variant run one
after the other, PAIRS times, each cold. A ratio is speed of the variant / speed of the plan, of one
pair; its median has an interval from 10 000 resamples of the pairs. It ends with an error if the
whole interval (95 %) of a variant lies above 1.05. Micro-batches are judged by prompts of several,
all else by decoding.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing may appear beside the sources
from measure import REPO, SENTENCE, drop_page_cache, interval, make_model  # noqa: E402
from prediction import MODELS as SHAPES  # noqa: E402

MAKE = os.path.join(REPO, "build/release/bench/hypura_make_model")
HYPURA = os.path.join(REPO, "build/release/src/cli/hypura")
MODELS = {"dense-q8": 16, "moe-q5": 64}  # of bench/prediction.py; tokens to decode
SENTENCES = 4  # of the prompt in front of them, about 60 tokens each
BAR = 1.05
PAIRS_MIN = 5  # fewer judge nothing


def save_plan(model, budget, file):
    command = [HYPURA, "plan", model, "--ram-budget", budget, "--ctx", "2048", "--save", file]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(file) as text:
        return json.load(text)


def variants(plan):
    """name -> what it changes of the plan's decisions."""
    decisions, result = plan["decisions"], plan["result"]
    found = {}
    pinned, pools, ring = result["pinned_bytes"], result["pool_bytes"], decisions["ring_slots"]
    for share in (90, 75, 50):
        found[f"pinned {share} %"] = {"pin_bytes_max": pinned * share // 100}
    if pools > 0:
        for share in (90, 75):
            found[f"pools {share} %"] = {"pool_bytes_max": pools * share // 100}
    if ring > 0:
        for factor in (0.5, 2, 4):
            found[f"ring x{factor:g}"] = {"ring_slots": max(1, int(ring * factor))}
    for factor in (0.25, 0.5, 2):
        found[f"micro-batch x{factor:g}"] = {
            "micro_batch": max(1, int(decisions["micro_batch"] * factor))}
    return found


def run(model, plan, tokens, prompt):
    """The run's JSON, or its message where the plan does not fit."""
    drop_page_cache()
    command = [HYPURA, "run", model, "--plan", plan, "-p", prompt, "-n", str(tokens), "--temp", "0",
               "--ignore-eos", "-b", "2048", "--json", "--no-history"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 3:
        return done.stderr.splitlines()[0].removeprefix("error: ")
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:6])}: {done.stderr}")
    return json.loads(done.stdout)


def compare(model, chosen, variant, phase, options):
    """Ratios of the pairs, or why the variant cannot run."""
    prompt = SENTENCE * (options.sentences if phase == "prompt" else SENTENCES)
    tokens = 1 if phase == "prompt" else options.tokens or MODELS[options.name]
    speed = "prefill_tps" if phase == "prompt" else "decode_tps"
    ratios = []
    for pair in range(options.pairs):
        speeds = {}
        for side in (chosen, variant) if pair % 2 == 0 else (variant, chosen):
            speeds[side] = run(model, side, tokens, prompt)
            if isinstance(speeds[side], str):
                return speeds[side]
        ratios.append(speeds[variant][speed] / speeds[chosen][speed])
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", default="40%")
    parser.add_argument("--models", default=",".join(MODELS), help="names, with commas between them")
    parser.add_argument("--only", default="", help="variants whose names begin so")
    parser.add_argument("--tokens", type=int, default=0, help="to decode (default: 16 or 64)")
    parser.add_argument("--sentences", type=int, default=12,
                        help="of the prompts that judge micro-batches, about 60 tokens each")
    parser.add_argument("--folder", default=os.path.join(REPO, "build/models"))
    parser.add_argument("--save", default=os.path.join(REPO, "build/bench/sweep.json"))
    options = parser.parse_args()
    work = os.path.dirname(options.save)
    os.makedirs(work, exist_ok=True)

    print("| model | variant | phase | of the plan's speed |")
    print("| --- | --- | --- | --- |", flush=True)
    cells, beaten = [], []
    for name in options.models.split(","):
        options.name = name
        model = os.path.join(options.folder, f"{name}.gguf")
        make_model(MAKE, SHAPES[name], model)
        chosen = os.path.join(work, f"sweep-{name}.json")
        plan = save_plan(model, options.budget, chosen)
        for variant, changes in variants(plan).items():
            if not variant.startswith(options.only):
                continue
            other = os.path.join(work, f"sweep-{name}-variant.json")
            with open(other, "w") as file:
                json.dump({**plan, "decisions": {**plan["decisions"], **changes}}, file, indent=1)
            phase = "prompt" if variant.startswith("micro-batch") else "decode"
            ratios = compare(model, chosen, other, phase, options)
            if isinstance(ratios, str):
                print(f"| {name} | {variant} | {phase} | refused: {ratios} |", flush=True)
                continue
            low, high = interval(ratios)
            median = statistics.median(ratios)
            if low > BAR and options.pairs >= PAIRS_MIN:
                beaten.append(f"{name}, {variant}: {phase} {median:.3f}")
            print(f"| {name} | {variant} | {phase} | {median:.3f} ({low:.3f} to {high:.3f}) |",
                  flush=True)
            cells.append({"model": name, "variant": variant, "phase": phase, "changes": changes,
                          "ratios": ratios})
    with open(options.save, "w") as file:
        json.dump(cells, file, indent=1)
    if beaten:
        sys.exit("the plan is beaten by more than 5 %: " + "; ".join(beaten))
    if options.pairs < PAIRS_MIN:
        return print(f"\n{options.pairs} pairs judge nothing: at least {PAIRS_MIN}")
    print(f"\nno plan of {len(cells)} beats the chosen one by more than 5 %, {options.pairs} pairs each")


if __name__ == "__main__":
    main()
