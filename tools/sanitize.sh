#!/usr/bin/env bash
# tools/sanitize.sh SANITIZERS: the unit tests of the layers below ggml, rebuilt with SANITIZERS.
set -euo pipefail
cd "$(dirname "$0")/.."
sanitizers=$1
dir=build/sanitize-${sanitizers//,/-}

layers=()
for layer in base model io cache residency; do
  if compgen -G "src/$layer/*_test.cpp" >/dev/null; then layers+=("$layer"); fi
done
tools/build.sh "$dir" "$(printf 'hypura_%s_test ' "${layers[@]}")" -DHYPURA_SANITIZE="$sanitizers"

# gcc 12's thread sanitizer cannot map its shadow under the address layout of newer kernels.
fixed_layout=(setarch "$(uname -m)" -R)
"${fixed_layout[@]}" true 2>/dev/null || fixed_layout=()

export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=second_deadlock_stack=1
for layer in "${layers[@]}"; do
  echo "$sanitizers: $layer"
  "${fixed_layout[@]}" timeout 900 "$dir/src/$layer/hypura_${layer}_test" --gtest_brief=1
done
