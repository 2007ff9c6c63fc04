#!/usr/bin/env bash
# `make bench`: hypura against llama.cpp at 40 % of a dense and of an MoE model, as root.
# Writes the two models (11 GB) to build/models once, the results to build/bench.
# Arguments go to bench/compare.py, e.g. --pairs 3.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/bootstrap.sh bench
tools/build.sh build/release hypura_make_model
bin=$(tools/bootstrap.sh paths | sed 's/.*-DHYPURA_LLAMA_BUILD=//')/bin

mkdir -p build/models
for model in dense-3g moe-7g; do
  file=build/models/$model.gguf
  [ -f "$file" ] || build/release/bench/hypura_make_model --preset "$model" --out "$file"
  python3 bench/compare.py --model "$file" --budget 40% --stock "$bin/llama-completion" "$@"
done
