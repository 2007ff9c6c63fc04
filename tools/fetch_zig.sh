#!/usr/bin/env bash
# Fetches zig 0.15.2 (clang 20, with libc++ and the headers of macOS's libc) from PyPI into the cache,
# where it takes 0.4 GB, and prints its folder. In bin/ there lie cc, c++, ar and ranlib: CMake wants
# each tool to be one program. MIT.
# Exit 77: PyPI is out of reach, or no wheel of this machine's kind is pinned.
set -euo pipefail

readonly package=ziglang==0.15.2
readonly wheel_sha256=806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130

cache=${HYPURA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hypura}
zig=$cache/zig-0.15.2

# The name appears only once all is in place, so that it can be trusted later.
if [ -d "$zig" ]; then
  echo "$zig"
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "skipped: $package is pinned for x86-64 Linux, not for $(uname -sm)" >&2
  exit 77
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch-zig.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "fetching $package from PyPI (94 MB)" >&2
"$(dirname "$0")/fetch_wheel.sh" "$package" "$wheel_sha256" "$work"

chmod +x "$work/wheel/ziglang/zig"
mkdir "$work/wheel/ziglang/bin"
for tool in cc c++ ar ranlib; do
  # shellcheck disable=SC2016  # $0 and $@ are the tool's.
  printf '#!/bin/sh\nexec "${0%%/*}/../zig" %s "$@"\n' "$tool" >"$work/wheel/ziglang/bin/$tool"
  chmod +x "$work/wheel/ziglang/bin/$tool"
done
mv "$work/wheel/ziglang" "$zig"
echo "$zig"
