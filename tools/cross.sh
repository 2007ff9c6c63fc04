#!/usr/bin/env bash
# `make cross`: llama.cpp's libraries (once, in the cache) and all of our code that is for macOS compiled
# and linked for Apple silicon, on Linux, without optimising: the program is inspected, and nothing here
# can run it.
# Exit 77: zig cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly dir=build/cross-aarch64-macos

HYPURA_ZIG=$(tools/fetch_zig.sh)
# libc++ for the target is compiled once, into the first; what one build needs goes with its folder.
ZIG_GLOBAL_CACHE_DIR=$HYPURA_ZIG/cache ZIG_LOCAL_CACHE_DIR=$PWD/$dir/zig-cache
export HYPURA_ZIG ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR

tools/bootstrap.sh cross
# shellcheck disable=SC2046
tools/build.sh "$dir" hypura -DCMAKE_BUILD_TYPE=Release -DHYPURA_TESTS=OFF \
  "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG" \
  -DHYPURA_ZIG="$HYPURA_ZIG" \
  -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-macos.cmake" $(tools/bootstrap.sh paths cross)
python3 tools/check_mach_o.py --self-test
python3 tools/check_mach_o.py "$dir/src/cli/hypura"
