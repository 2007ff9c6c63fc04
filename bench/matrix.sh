#!/usr/bin/env bash
# bench/matrix.sh [SAMPLES [OPTIONS of hypura bench]], `make bench-matrix`: a dense and an MoE model under
# memory limits from 120 % to 20 % of the file, with the automatic budget, against mmap under the same
# limit, as root. Ends with an error where a sample failed, or where hypura is slower than 0.98 of mmap
# beyond doubt: the whole interval lies below.
set -euo pipefail
cd "$(dirname "$0")/.."
samples=${1:-6}
shift $(($# > 0))

. bench/common.sh
build_programs

for model in dense-3g moe-7g; do
  make_model "$model"
  file=build/models/$model.gguf
  bytes=$(stat -c %s "$file")
  for share in ${SHARES:-120 95 80 60 40 20}; do
    echo "$model, $share % of the file"
    result=build/bench/matrix-$model-$share-$stamp
    "$release/src/cli/hypura" bench "$file" --ram-budget auto --limit "$((bytes * share / 100))" \
      --arms hypura,mmap --samples "$samples" --warmup 0 -n 8 --n-slow 3 --drive-bytes 256M \
      --save "$result.json" "$@" >"$result.md"
    python3 - "$result.json" <<'PYTHON'
import json, sys

result = json.load(open(sys.argv[1]))
ratio = result["ratios"][0]["ratio"]
failures = sum(arm["failures"] for arm in result["arms"])
print(f"  {ratio['median']:.2f}x of mmap, {ratio['low']:.2f} to {ratio['high']:.2f}, "
      f"mode {result['arms'][0]['samples'][0]['mode']}, {failures} failed")
sys.exit(failures > 0 or ratio["high"] < 0.98)
PYTHON
  done
done
