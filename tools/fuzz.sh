#!/usr/bin/env bash
# tools/fuzz.sh SECONDS: shares SECONDS among the fuzzers. fuzz/NAME_fuzz.cpp is the target
# hypura_NAME_fuzz; its seeds lie in fuzz/corpus/NAME, what it finds in build/fuzz/corpus/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1

names=()
for file in fuzz/*_fuzz.cpp; do
  if [ -e "$file" ]; then names+=("$(basename "$file" _fuzz.cpp)"); fi
done
[ ${#names[@]} -gt 0 ] || { echo "skipped: no fuzzers in fuzz/"; exit 0; }

for clang in clang-14 clang clang-15 clang-16 clang-17 clang-18; do
  command -v "$clang" >/dev/null && break
done
command -v "$clang" >/dev/null || { echo "error: fuzzing needs clang 14 or newer" >&2; exit 1; }
# Without precompiled headers: a file that does not include what it uses fails here.
tools/build.sh build/fuzz "$(printf 'hypura_%s_fuzz ' "${names[@]}")" \
  -DCMAKE_C_COMPILER="$clang" -DCMAKE_CXX_COMPILER="${clang/clang/clang++}" -DHYPURA_TESTS=OFF \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DHYPURA_SANITIZE=fuzzer-no-link,address,undefined

for name in "${names[@]}"; do
  found=build/fuzz/corpus/$name crashes=build/fuzz/crashes/$name
  mkdir -p "$found" "$crashes" "fuzz/corpus/$name"
  share=$((seconds / ${#names[@]}))
  echo "fuzz: $name for $share s"
  build/fuzz/fuzz/hypura_"${name}"_fuzz -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 \
    -verbosity=0 -print_final_stats=1 -artifact_prefix="$crashes/" "$found" "fuzz/corpus/$name"
done
