#!/usr/bin/env bash
# Fetches the clients that tests drive the server with, the npm and PyPI packages of tests/clients,
# into the cache and prints their folder: python/ and node_modules/.
# Exit 77: a registry is out of reach, or there is no npm; the tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/../tests/clients"

cache=${HYPURA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hypura}/clients
folder=$cache/$(cat requirements.txt package-lock.json | sha256sum | cut -c1-16)

# The name appears only once all of it is there.
if [ -d "$folder" ]; then
  echo "$folder"
  exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

skip() { if [ -f "$work/log" ]; then tail -n 2 "$work/log" >&2; fi; echo "skipped: $1" >&2; exit 77; }

command -v npm >/dev/null || skip "the clients need npm (Debian: npm)"
echo "fetching clients from PyPI and npm" >&2
python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --retries 1 --timeout 20 \
  --only-binary :all: --target "$work/python" -r requirements.txt >"$work/log" 2>&1 ||
  skip "PyPI is out of reach"
cp package.json package-lock.json "$work"
npm ci --silent --no-audit --no-fund --prefix "$work" >"$work/log" 2>&1 || skip "npm is out of reach"
rm -rf "$cache"/????????????????
mv "$work" "$folder"
trap - EXIT
echo "$folder"
