#!/usr/bin/env bash
# tools/sanitize.sh SANITIZERS: our code rebuilt with SANITIZERS: the unit tests of every layer, a
# golden comparison of the embedded model, also as a plug-in, and some faulty drives; for threads without
# layers that are pure. llama.cpp itself is not rebuilt.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
sanitizers=$1
dir=build/sanitize-${sanitizers//,/-}

layers=()
for layer in base trace model machine plan io cache residency engine plugin store; do
  # Pure ones have nothing for it to see.
  if [ "$sanitizers" = thread ]; then case $layer in trace | plan) continue ;; esac; fi
  if compgen -G "src/$layer/*_test.cpp" >/dev/null; then layers+=("$layer"); fi
done
# -O1: instrumented code compiles in two thirds of the time.
tools/build.sh "$dir" \
  "$(printf 'hypura_%s_test ' "${layers[@]}") hypura_compare hypura_hosted_test hypura_faults_test" \
  -DHYPURA_SANITIZE="$sanitizers" \
  -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g -DNDEBUG"

# gcc 12's thread sanitizer cannot map its shadow under the address layout of newer kernels.
fixed_layout=(setarch "$(uname -m)" -R)
"${fixed_layout[@]}" true 2>/dev/null || fixed_layout=()
run() { "${fixed_layout[@]}" timeout 900 "$@"; }

# llama.cpp keeps its own counsel about what it allocates once per process.
export ASAN_OPTIONS=detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=second_deadlock_stack=1
cd "$dir"
for layer in "${layers[@]}"; do
  echo "$sanitizers: $layer"
  run "src/$layer/hypura_${layer}_test" --gtest_brief=1
done

echo "$sanitizers: golden comparison"
run tests/golden/hypura_compare "$repository/models/storyteller-moe-q4_k_m.gguf" 0.3

echo "$sanitizers: the plug-in's device"
run tests/golden/hypura_hosted_test --gtest_brief=1 --gtest_filter=Hosted.Storyteller

echo "$sanitizers: faulty drives"
ctest -R golden.write_archs --no-tests=error >/dev/null
HYPURA_SEEDS=40 run tests/sim/hypura_faults_test --gtest_brief=1
