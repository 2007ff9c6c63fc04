#!/usr/bin/env bash
# bench/gpu.sh [build|models|table|all] [ROW...], `make bench-gpu`: hypura with a GPU against
# llama.cpp with the same memory of it, as a table; bench/gpu.py has the rows and what is done for
# each.
#
# Needs nvcc, g++, CMake, ninja, pkg-config, Python 3.11, root for memory groups, and what Debian's
# -dev packages of liburing, fmt, CLI11, nlohmann-json, curl and libedit hold, unpacked where CMake
# and pkg-config find it. Installs nothing. HYPURA_LLAMA_DIR and HYPURA_UPLOT_DIR name llama.cpp's
# sources and uPlot's files if the cache has none.
#
# A call ends after STAGE_SECONDS (540) at most, with exit 75 if there is more to do: called again
# it goes on, with the build, the models and the samples that are there. `all` has one model at a
# time in build/models/gpu, `table`, or KEEP=1, keeps them. Results are in build/bench: gpu.md,
# gpu.json, and gpu-samples.jsonl with every sample and its text. Another build of hypura starts
# from nothing.
#
# GPU (cuda, vulkan or none), and of bench/gpu.py: ROUNDS (3), PAIRS (12), GPU_BUDGET (8G),
# GPU_BUDGET_SMALL (2G), RAM_BUDGET (24G), PROMPT_TOKENS (2048); MOE, MOE_LARGE, DENSE and
# DENSE_SMALL: presets of hypura_make_model; PLACEMENTS: of llama.cpp, those that are tried (all).
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${1:-all}
shift $(($# > 0))
gpu=${GPU:-cuda}
export HYPURA_OFFLINE=${HYPURA_OFFLINE:-1} STAGE_SECONDS=${STAGE_SECONDS:-540}
export STAGE_BEGIN=$EPOCHSECONDS

. bench/common.sh
case $stage in
  build | models | table | all) ;;
  *) echo "error: unknown stage '$stage'; build, models, table or all" >&2; exit 2 ;;
esac

# Tests would need GoogleTest.
options=(-DHYPURA_TESTS=OFF)
if [ "$gpu" = none ]; then options=(); fi
export -f build_programs
timeout "$STAGE_SECONDS" bash -euc 'build_programs "$@"' - "$gpu" "${options[@]}" ||
  { [ $? != 124 ] || exit 75; exit 1; }
[ "$stage" != build ] || exit 0
exec python3 bench/gpu.py "$stage" "$gpu" "$@"
