#!/usr/bin/env bash
# `make bench`: hypura against llama.cpp at 40 % of a dense and of an MoE model, as root.
# Writes the two models (11 GB) to build/models once, the results to build/bench.
# Arguments go to `hypura bench`, e.g. --samples 3.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/bootstrap.sh bench
tools/build.sh build/release "hypura hypura_make_model"
bin=$(tools/bootstrap.sh paths | sed "s/.*-DHYPURA_LLAMA_BUILD=\([^ ]*\).*/\1/")/bin
stamp=$(date +%Y%m%d-%H%M%S)

mkdir -p build/models build/bench
for model in dense-3g moe-7g; do
  file=build/models/$model.gguf
  [ -f "$file" ] || build/release/bench/hypura_make_model --preset "$model" --out "$file"
  build/release/src/cli/hypura bench "$file" --ram-budget 40% --stock "$bin/llama-completion" \
    --save "build/bench/$model-$stamp.json" "$@" | tee "build/bench/$model-$stamp.md"
done
