#!/usr/bin/env bash
# tools/build.sh DIR "TARGETS" [CMAKE_ARGUMENTS...]: configures DIR and builds TARGETS in it.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1 targets=$2
shift 2

echo "build: $targets in $dir" >&2
# The build type keeps -O2, debug information and CHECK.
# shellcheck disable=SC2046
cmake -G Ninja -S . -B "$dir" --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  $(tools/bootstrap.sh paths) "$@" >/dev/null
quiet=--quiet
[ ! -t 1 ] || quiet=
# shellcheck disable=SC2086
exec ninja -C "$dir" -j "${JOBS:-$(nproc)}" $quiet $targets
