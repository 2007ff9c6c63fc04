#!/usr/bin/env bash
# `make bench`: hypura against llama.cpp at 40 % of a dense and of an MoE model, as root.
# Writes the two models (11 GB) to build/models once, the results to build/bench.
# Arguments go to `hypura bench`, e.g. --samples 3.
set -euo pipefail
cd "$(dirname "$0")/.."

. bench/common.sh
build_programs

for model in dense-3g moe-7g; do
  make_model "$model"
  "$release/src/cli/hypura" bench "build/models/$model.gguf" --ram-budget 40% \
    --stock "$llama_bin/llama-completion" --save "build/bench/$model-$stamp.json" "$@" |
    tee "build/bench/$model-$stamp.md"
done
