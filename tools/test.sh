#!/usr/bin/env bash
# `make test`: stops at the first phase that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export JOBS=${JOBS:-$(nproc)}

phase() { echo "== $*"; }

phase "include rules"
python3 tools/check_includes.py --self-test
python3 tools/check_includes.py

phase "packages and llama.cpp"
tools/bootstrap.sh tests
tools/bootstrap.sh plugin

phase "build"
tools/build.sh build/release "all ggml-hypura"
ln -sfn release/src/cli/hypura build/hypura

phase "second model"
fetched=0
HYPURA_SMOLLM2=$(tools/fetch_smollm2.sh) || fetched=$?
case $fetched in
  0) export HYPURA_SMOLLM2 ;;
  77) unset HYPURA_SMOLLM2; echo "skipped: the tests of SmolLM2" ;;
  *) exit "$fetched" ;;
esac

phase "tests"
ctest --test-dir build/release --output-on-failure --no-tests=error -j "$JOBS"

phase "address and undefined-behaviour sanitizers"
tools/sanitize.sh address,undefined

phase "thread sanitizer"
tools/sanitize.sh thread

phase "fuzzing, 60 s"
tools/fuzz.sh 60

phase "macOS, compiled and linked"
crossed=0
tools/cross.sh || crossed=$?
case $crossed in
  0) ;;
  77) echo "skipped: compiling for aarch64-macos" ;;
  *) exit "$crossed" ;;
esac

phase "all passed"
