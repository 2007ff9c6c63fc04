#!/usr/bin/env bash
# bench/headline.sh [SAMPLES [OPTIONS of hypura bench]], `make bench-headline`: the models that are
# asked for first, in their real shapes with random weights, at 40 % and at 25 % of their size, as
# root; 3 samples an arm. One model lies on the disk at a time: it is written to build/models, and
# removed after its runs if it was not there before. KEEP=1 keeps it, MODELS="qwen2-14b llama-70b"
# names some. Results go to build/bench. OPTIONS are those that are not given below.
set -euo pipefail
cd "$(dirname "$0")/.."
samples=${1:-3}
shift $(($# > 0))

. bench/common.sh
build_programs
spare_bytes=$((2 << 30)) # the vocabulary, results, and a disk that is not full
read -ra models <<<"${MODELS:-qwen2-14b qwen3-30b mixtral-8x7b llama-70b}"

# need_room MODEL: ends here if the disk has no room for it.
need_room() {
  local bytes needed free
  bytes=$("$release/bench/hypura_make_model" --preset "$1" --size)
  needed=$((bytes + spare_bytes))
  free=$(df --output=avail -B1 build/models | tail -n 1)
  if ((free >= needed)); then return; fi
  echo "error: $1 needs $((needed >> 30)) GiB in build/models, $((free >> 30)) GiB are free" >&2
  echo "  try: MODELS=\"...\" with smaller ones, or build/models as a link to a larger disk" >&2
  exit 1
}

written=
remove_written() { [ -z "$written" ] || rm -f "$written" "$written.part"; }
trap remove_written EXIT

for model in "${models[@]}"; do
  file=build/models/$model.gguf
  if [ ! -f "$file" ]; then
    need_room "$model"
    written=$file
    make_model "$model"
    if [ "${KEEP:-}" = 1 ]; then written=; fi
  fi
  for share in 40 25; do
    result=build/bench/$model-$share-$stamp
    "$release/src/cli/hypura" bench "$file" --ram-budget "$share%" --samples "$samples" \
      --warmup 0 -n 8 --n-slow 2 --timeout 1800 --arms hypura,mmap \
      --stock "$llama_bin/llama-completion" --save "$result.json" "$@" | tee "$result.md"
  done
  remove_written
  written=
done
