#!/usr/bin/env bash
# bench/check_models.sh FOLDER: checks what FOLDER/hypura_make_model writes. Every architecture, and
# a few quantisations, must load and route: evenly, or with the skew that was asked for.
set -euo pipefail
bin=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The mean over all layers of the column NAME of hypura_count_experts.
mean() { awk -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
  { sum += $column } END { print sum / (NR - 1) }'; }

# expect NAME LOW HIGH WHAT [ARGUMENTS...]: makes a model and holds the mean of NAME between both.
expect() {
  local name=$1 low=$2 high=$3 what=$4 value
  shift 4
  rm -f "$work"/*
  "$bin/hypura_make_model" --preset tiny-moe "$@" --out "$work/model.gguf" >/dev/null 2>&1
  "$bin/hypura_count_experts" "$(find "$work" -name '*.gguf' | sort | head -n 1)" --tokens 2048 \
    >"$work/counts"
  value=$(mean "$name" <"$work/counts")
  awk -v v="$value" -v l="$low" -v h="$high" 'BEGIN { exit !(v >= l && v <= h) }' ||
    { echo "error: $what: $name is $value, expected $low to $high" >&2; exit 1; }
  echo "$what: $name $value"
}

# The large presets are as large as the published files, of which the vocabulary is the rest.
expect_size() {
  local bytes
  bytes=$("$bin/hypura_make_model" --preset "$1" --size)
  if ((bytes < $2 || bytes > $3)); then
    echo "error: preset $1 has $bytes bytes of weights, expected $2 to $3" >&2
    exit 1
  fi
  echo "preset $1: $bytes bytes"
}
expect_size qwen2-14b 8970000000 8990000000
expect_size qwen3-30b 18500000000 18600000000
expect_size mixtral-8x7b 32200000000 33300000000
expect_size llama-70b 42500000000 42520395584

for arch in llama qwen2moe qwen3moe; do
  expect entropy 0.99 1 "$arch, uniform" --arch $arch --shared-ff 512
done
for quant in q4_k q5_k_m q8_0 mxfp4 iq4_xs f16; do
  expect entropy 0.99 1 "$quant, uniform" --quant $quant
done
expect repeated 0.11 0.14 "choices do not depend on the token before" --split 3
expect zipf 0.85 1.25 "skewed by 1" --routing skewed=1
expect zipf 0.4 0.75 "skewed by 0.5" --routing skewed=0.5
