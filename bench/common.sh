# Sourced by the scripts of this folder, in the repository's root.
# shellcheck shell=bash

# Results of one call share it in their names.
stamp=$(date +%Y%m%d-%H%M%S)
mkdir -p build/models build/bench

# build_programs [GPU]: hypura, the generator of models and llama.cpp's own programs, for the CPU or
# for a GPU. Sets `release`, the folder of the first two, and `llama_bin`, that of the last.
build_programs() {
  local gpu=${1:-none} paths
  tools/bootstrap.sh bench "$gpu"
  paths=$(tools/bootstrap.sh paths "$gpu")
  release=build/release
  if [ "$gpu" != none ]; then release+=-$gpu; fi
  # shellcheck disable=SC2086
  tools/build.sh "$release" "hypura hypura_make_model" $paths "${@:2}"
  llama_bin=$(sed 's/.*-DHYPURA_LLAMA_BUILD=\([^ ]*\).*/\1/' <<<"$paths")/bin
}

# make_model PRESET: writes build/models/PRESET.gguf if it is not there. One that is there is whole.
make_model() {
  local file=build/models/$1.gguf
  if [ -f "$file" ]; then return; fi
  "$release/bench/hypura_make_model" --preset "$1" --out "$file.part"
  mv "$file.part" "$file"
}
