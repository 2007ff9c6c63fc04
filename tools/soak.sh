#!/usr/bin/env bash
# tools/soak.sh MINUTES: 32 clients of a server for a third of the time, 10 minutes at most; then half of the
# rest the tests with fresh seeds, half of it the fuzzers.
# A test that draws takes HYPURA_SEED as its first seed and prints the one that failed.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=$1

tools/bootstrap.sh tests
tools/build.sh build/release all
load=$((minutes < 30 ? minutes / 3 : 10))
if [ "$load" -gt 0 ]; then tests/soak/serve_load.py "$load"; fi
minutes=$((minutes - load))
deadline=$((SECONDS + minutes * 30)) rounds=0
while [ $SECONDS -lt $deadline ]; do
  HYPURA_SEED=$((RANDOM * 32768 * 32768 + RANDOM * 32768 + RANDOM))
  export HYPURA_SEED
  echo "soak: HYPURA_SEED=$HYPURA_SEED"
  ctest --test-dir build/release --output-on-failure --no-tests=error -j "${JOBS:-$(nproc)}" \
    -R '^(sim|io|residency|cache)\.' >build/soak.log || { cat build/soak.log; exit 1; }
  rounds=$((rounds + 1))
done
echo "soak: $rounds rounds passed"
tools/fuzz.sh $((minutes * 30))
