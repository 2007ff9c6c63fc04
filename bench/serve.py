#!/usr/bin/env python3
"""What `hypura serve` adds to a run, what requests that are computed together save, and what a second
turn costs. Pairs are taken in turn, A B A B; ratios are medians with their 95 % interval.

Usage: bench/serve.py [--pairs N]   (writes 0.9 GB to build/models)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time

import measure
from server_process import ServerProcess

HYPURA = os.path.join(measure.REPO, "build/hypura")
GENERATOR = os.path.join(measure.REPO, "build/release/bench/hypura_make_model")
STORYTELLER = os.path.join(measure.REPO, "models/storyteller-moe-q4_k_m.gguf")
# Large enough that its FFNs stream for most of a token's time, small enough to be written quickly.
DENSE = os.path.join(measure.REPO, "build/models/dense-900m.gguf")
DENSE_SHAPE = ["--arch", "llama", "--layers", "24", "--embd", "2048", "--ff", "8192", "--heads",
               "16", "--kv-heads", "2", "--vocab", "4096", "--quant", "q4_k_m"]
# KV of 32 sequences, activations, and 40 % of the weights.
BUDGET = "600M"
TOKENS = 900
PROMPT = "Once upon a time"


def serve(model, *words):
    return ServerProcess([HYPURA, "serve", model, *words])


def ratio(name, pairs, bar):
    values = [one / other for one, other in pairs]
    low, high = measure.interval(values)
    print(f"| {name} | {statistics.median(one for one, _ in pairs):.2f} "
          f"| {statistics.median(other for _, other in pairs):.2f} "
          f"| {statistics.median(values):.3f} ({low:.3f}-{high:.3f}) | {len(pairs)} | {bar} |", flush=True)


def run(model, prompt, *words):
    done = subprocess.run(
        [HYPURA, "run", model, "-p", prompt, "-n", str(TOKENS), "--temp", "0", "--ignore-eos", "--json",
         "--no-history", *map(str, words)], capture_output=True, check=True)
    return json.loads(done.stdout)


def overhead(pairs):
    """Tokens a second of one request, and of a run with the same options: without a drive, whose
    noise is more than what is looked for, and with one."""
    for name, options in (("resident", ["--mode", "resident", "--exact"]),
                          ("streamed", ["--ram-budget", "min"])):
        words = [*options, "--ctx", 1024]
        taken = []
        with serve(STORYTELLER, *words, "--parallel", 1) as server:
            for n in range(pairs):
                first = server.complete(PROMPT, TOKENS) if n % 2 else None
                alone = run(STORYTELLER, PROMPT, *words)
                answer = first or server.complete(PROMPT, TOKENS)
                if answer["content"] != alone["text"]:
                    sys.exit(f"error: other texts:\n{answer['content']}\n{alone['text']}")
                taken.append((answer["timings"]["predicted_per_second"], alone["decode_tps"]))
        ratio(f"one request, {name}, tokens/s against `hypura run`", taken, ">= 0.98")


def decode_rate(server, sequences, count):
    """Tokens a second of all sequences, from the first token of the last one to begin."""
    begun = time.monotonic()
    results = [None] * sequences

    def one(n):
        results[n] = server.complete(f"Story {n}: the river was wide", count)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(sequences)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if any(not result or result["tokens_predicted"] != count for result in results):
        sys.exit("error: a request was not answered in full")
    prompt = max(result["timings"]["prompt_ms"] for result in results) / 1000
    return sequences * count / (time.monotonic() - begun - prompt)


def sequences(pairs):
    """Tokens a second of 8 and of 32 sequences against one, streamed and resident."""
    rates = {}
    for name, words in (("streamed", ["--ram-budget", BUDGET]), ("resident", ["--mode", "resident", "--exact"])):
        with serve(DENSE, *words, "--ctx", 64, "--parallel", 32) as server:
            decode_rate(server, 1, 4)
            rates[name] = [(decode_rate(server, 1, 8), decode_rate(server, 8, 8),
                            decode_rate(server, 32, 8)) for _ in range(pairs)]
    streamed, resident = rates["streamed"], rates["resident"]
    ratio(f"8 sequences against 1, dense streamed in {BUDGET}, tokens/s", [(eight, one) for one, eight, _ in streamed],
          ">= 3")
    ratio(f"32 sequences against 1, dense streamed in {BUDGET}, tokens/s", [(many, one) for one, _, many in streamed],
          ">= 6, or the last row")
    ratio("32 sequences, streamed against resident",
          [(a[2], b[2]) for a, b in zip(streamed, resident)], ">= 0.9")


def second_turn(pairs):
    """Time to the first token behind a history of 1,000 tokens, cold and as the second turn."""
    taken = []
    with serve(STORYTELLER, "--ram-budget", "min", "--ctx", 1024, "--parallel", 1) as server:
        history = "The king and the queen lived in a castle. " * 95
        while len(server.post("/tokenize", {"content": history})["tokens"]) > 985:
            history = history[:-10]
        for n in range(pairs):
            server.complete(f"{n} others", 1)
            cold = server.complete(history, 8, cache_prompt=True)
            warm = server.complete(history + cold["content"] + " Then", 8, cache_prompt=True)
            taken.append((warm["timings"]["prompt_ms"], cold["timings"]["prompt_ms"]))
    ratio("first token of a second turn, ms against cold", taken, "<= 0.10")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pairs", type=int, default=10)
    pairs = arguments.parse_args().pairs
    measure.make_model(GENERATOR, DENSE_SHAPE, DENSE)
    print("| what | A | B | A/B | pairs | bar |\n|---|---|---|---|---|---|")
    overhead(pairs)
    second_turn(pairs)
    sequences(pairs)


if __name__ == "__main__":
    main()
