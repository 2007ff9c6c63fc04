#!/usr/bin/env bash
# Installs what a build needs, then fetches and builds llama.cpp v0.5.0 outside the repository, and
# fetches uPlot, the plots of the dashboard.
#
#   tools/bootstrap.sh build [GPU]  packages and llama.cpp's libraries (the default)
#   tools/bootstrap.sh tests        the same, clang, and llama.cpp's writer of tiny models
#   tools/bootstrap.sh bench [GPU]  build, and llama.cpp's own programs that benchmarks run
#   tools/bootstrap.sh plugin       llama-bench and llama-completion, hosts for the plug-in, built apart
#   tools/bootstrap.sh cross        its libraries for aarch64-macos, by the zig in HYPURA_ZIG
#   tools/bootstrap.sh paths [GPU|cross]   only prints the CMake arguments that name both
#
# GPU is cuda, vulkan or none (the default); each has a build of llama.cpp of its own. What they need
# is not installed here: it is said. HYPURA_CUDA_ARCHITECTURES, e.g. 89, replaces `native`, the GPUs
# of this machine.
#
# Safe to repeat and to interrupt: a finished step is recognised, an unfinished one starts over.
# HYPURA_CACHE moves the cache; HYPURA_LLAMA_DIR uses a checkout, built in build/llama, which needs
# no tests, models or docs; HYPURA_UPLOT_DIR names a folder with what is in uPlot's dist/ and its
# LICENSE; HYPURA_OFFLINE=1 installs and fetches nothing.
set -euo pipefail

readonly package=node-llama-cpp@3.22.1
readonly integrity=sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==
readonly version=v0.5.0 commit=de3ff81
readonly uplot_version=1.6.32
readonly uplot_integrity=sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==

readonly build_packages="build-essential ca-certificates cmake git libcli11-dev
  libcurl4-openssl-dev libedit-dev libfmt-dev libgtest-dev liburing-dev ninja-build nlohmann-json3-dev pkg-config python3"
# Of llama.cpp, what hypura links: the model, its commons, and the inside of its server.
readonly libraries="llama llama-common server-context"
readonly test_packages="clang-14 libclang-rt-14-dev python3-pip"
readonly browser_packages="chromium chromium-driver"

# OpenMP's spinning threads starve the reads, BLAS would take our nodes: both stay off.
options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DGGML_OPENMP=OFF -DGGML_BLAS=OFF -DGGML_NATIVE=ON
  -DGGML_CCACHE=OFF -DLLAMA_BUILD_TESTS=ON -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF)

repo=$(cd "$(dirname "$0")/.." && pwd)
cache=${HYPURA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hypura}
if [ -n "${HYPURA_LLAMA_DIR:-}" ]; then
  source_dir=$HYPURA_LLAMA_DIR build_dir=$repo/build/llama host_dir=$repo/build/llama-host
  cross_dir=$repo/build/llama-aarch64-macos
else
  source_dir=$cache/llama.cpp-$version build_dir=$cache/llama-build
  host_dir=$cache/llama-host-build cross_dir=$cache/llama-aarch64-macos-build
fi
uplot_dir=${HYPURA_UPLOT_DIR:-$cache/uplot-$uplot_version}
jobs=${JOBS:-$(nproc)}

say() { echo "bootstrap: $*" >&2; }
fail() { echo "error: $1" >&2; [ $# -lt 2 ] || echo "  try: $2" >&2; exit 1; }

main() {
  case ${1:-build} in
    build) require $build_packages
           fetch_uplot
           use_gpu "${2:-none}"
           llama_targets $libraries ;;
    tests) require $build_packages $test_packages
           (require $browser_packages) || say "no Chromium: the dashboard's test is skipped"
           fetch_uplot
           llama_targets $libraries test-llama-archs ;;
    bench) require $build_packages
           fetch_uplot
           use_gpu "${2:-none}"
           llama_targets $libraries llama-completion llama-server ;;
    plugin) require $build_packages
            become_host
            llama_targets llama-bench llama-completion ;;
    cross) require $build_packages
           fetch_uplot
           cross_compile
           llama_targets $libraries ;;
    paths) print_paths "${2:-none}" ;;
    *) fail "unknown step '$1'" "build, tests, bench, plugin, cross or paths" ;;
  esac
}

print_paths() {
  local gpu=none
  case $1 in
    none) ;;
    cross) build_dir=$cross_dir ;;
    *) gpu=$1 build_dir=$build_dir-$1 ;;
  esac
  echo "-DHYPURA_LLAMA_DIR=$source_dir -DHYPURA_LLAMA_BUILD=$build_dir" \
    "-DHYPURA_LLAMA_HOST=$host_dir -DHYPURA_GPU=$gpu -DHYPURA_UPLOT_DIR=$uplot_dir"
}

# The CPU backend with all its options stays, one for GPUs comes beside it.
use_gpu() {
  case $1 in
    none) return 0 ;;
    cuda) find_cuda
          # NCCL would be one more library to link, and splits tensors over GPUs, which we do not.
          options+=(-DGGML_CUDA=ON -DGGML_CUDA_NCCL=OFF
            "-DCMAKE_CUDA_ARCHITECTURES=${HYPURA_CUDA_ARCHITECTURES:-native}") ;;
    vulkan) find_vulkan
            options+=(-DGGML_VULKAN=ON
              "-DVulkan_GLSLC_EXECUTABLE=$glslc" "-DVulkan_INCLUDE_DIR=$vulkan_headers") ;;
    *) fail "unknown GPU '$1'" "GPU=cuda, vulkan or none" ;;
  esac
  build_dir=$build_dir-$1
  options=("${options[@]/LLAMA_BUILD_TESTS=ON/LLAMA_BUILD_TESTS=OFF}")
}

# CMake looks for the compiler in PATH only.
find_cuda() {
  PATH=${CUDA_PATH:+$CUDA_PATH/bin:}$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null ||
    fail "GPU=cuda needs nvcc, which is not in CUDA_PATH/bin, PATH or /usr/local/cuda/bin" \
      "NVIDIA's CUDA toolkit, 12 or newer, or CUDA_PATH=DIR"
}

# Debian 12's are too old: shaders of llama.cpp that the compiler does not know fail to build.
find_vulkan() {
  vulkan_headers=${VULKAN_SDK:-/usr}/include glslc=$(command -v glslc) ||
    fail "GPU=vulkan needs glslc" "apt-get install glslc libvulkan-dev spirv-headers"
  [ -f "$vulkan_headers/vulkan/vulkan.hpp" ] && [ -f "$vulkan_headers/spirv/unified1/spirv.hpp" ] ||
    fail "GPU=vulkan needs the headers of Vulkan and SPIR-V in $vulkan_headers" \
      "apt-get install libvulkan-dev spirv-headers, or VULKAN_SDK=DIR"
  grep -q VK_EXT_layer_settings "$vulkan_headers/vulkan/vulkan_core.h" &&
    printf '#version 460\n#extension GL_KHR_cooperative_matrix : require\nvoid main() {}\n' |
    glslc -fshader-stage=compute --target-env=vulkan1.3 -o /dev/null - 2>/dev/null ||
    fail "llama.cpp $version needs newer ones than $glslc and the headers in $vulkan_headers" \
      "those of Debian 13, or of LunarG's SDK, whose setup-env.sh sets PATH and VULKAN_SDK"
}

# Built as llama.cpp's releases are, the CPU backend is a module, and every program loads what
# GGML_BACKEND_PATH names. Without GGML_BACKEND_DL only llama-bench does so by itself.
become_host() {
  build_dir=$host_dir
  options=("${options[@]/BUILD_SHARED_LIBS=OFF/BUILD_SHARED_LIBS=ON}")
  options=("${options[@]/GGML_NATIVE=ON/GGML_NATIVE=OFF}" -DGGML_BACKEND_DL=ON)
}

# Without Apple's frameworks, so CPU only, and not optimised: nobody runs it. tools/cross.sh knows the
# compiler.
cross_compile() {
  build_dir=$cross_dir
  options=("${options[@]/GGML_NATIVE=ON/GGML_NATIVE=OFF}")
  options=("${options[@]/LLAMA_BUILD_TESTS=ON/LLAMA_BUILD_TESTS=OFF}")
  # A copy: every checkout shares what is built.
  local toolchain=$build_dir/aarch64-macos.cmake
  mkdir -p "$build_dir"
  cmp -s "$repo/cmake/aarch64-macos.cmake" "$toolchain" ||
    cp "$repo/cmake/aarch64-macos.cmake" "$toolchain"
  options+=(-DGGML_METAL=OFF -DGGML_ACCELERATE=OFF
    "-DCMAKE_C_FLAGS_RELEASE=-O0 -DNDEBUG" "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG"
    "-DHYPURA_ZIG=$HYPURA_ZIG" "-DCMAKE_TOOLCHAIN_FILE=$toolchain")
}

# Installs the Debian packages that are not there. Elsewhere CMake says what it misses.
require() {
  [ "${HYPURA_OFFLINE:-}" != 1 ] || return 0
  command -v dpkg-query >/dev/null || return 0
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed ||
      missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] ||
    fail "missing packages: ${missing[*]}" "sudo apt-get install ${missing[*]}"
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

llama_targets() {
  mkdir -p "$build_dir"
  exec 9>"$build_dir.lock"
  flock -n 9 || { say "waiting for another bootstrap"; flock 9; }
  fetch_llama
  configure_llama
  build_llama "$@"
}

fetch_llama() {
  if [ -f "$source_dir/include/llama.h" ]; then
    # A checkout of one's own may carry patches: that is said, not refused.
    check_commit "$source_dir" || say "warning: $source_dir is not at $commit ($version)"
    return 0
  fi
  [ -z "${HYPURA_LLAMA_DIR:-}" ] ||
    fail "no llama.cpp in $HYPURA_LLAMA_DIR" "unset HYPURA_LLAMA_DIR to fetch $version"
  [ "${HYPURA_OFFLINE:-}" != 1 ] ||
    fail "no llama.cpp in $source_dir" "HYPURA_LLAMA_DIR=DIR with a checkout of $version"

  say "fetching llama.cpp $version ($package)"
  rm -rf "$cache"/fetch.*
  local work
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  fetch_package "$package" "$integrity" "$work" "HYPURA_LLAMA_DIR=DIR with a checkout of $version"
  tar -xzf "$work"/*.tgz -C "$work" package/llama/gitRelease.bundle
  git -c advice.detachedHead=false clone -q "$work/package/llama/gitRelease.bundle" "$work/checkout"
  check_commit "$work/checkout" || fail "$package does not carry llama.cpp $commit"
  mv "$work/checkout" "$source_dir"
  rm -rf "$work"
}

# The folder's name appears only once what is in it is verified and whole.
fetch_uplot() {
  [ ! -f "$uplot_dir/uPlot.iife.min.js" ] || return 0
  [ -z "${HYPURA_UPLOT_DIR:-}" ] ||
    fail "no uPlot.iife.min.js in $HYPURA_UPLOT_DIR" "unset HYPURA_UPLOT_DIR to fetch $uplot_version"
  local other="HYPURA_UPLOT_DIR=DIR with the files of its dist/ and its LICENSE"
  [ "${HYPURA_OFFLINE:-}" != 1 ] || fail "no uPlot $uplot_version in $uplot_dir" "$other"

  mkdir -p "$cache"
  exec 8>"$uplot_dir.lock"
  flock 8
  [ ! -f "$uplot_dir/uPlot.iife.min.js" ] || return 0
  say "fetching uPlot $uplot_version"
  rm -rf "$cache"/fetch-uplot.*
  local work
  work=$(mktemp -d "$cache/fetch-uplot.XXXXXX")
  fetch_package "uplot@$uplot_version" "$uplot_integrity" "$work" "$other"
  mkdir "$work/uplot"
  tar -xzf "$work"/*.tgz -C "$work/uplot" --transform 's|.*/||' \
    package/dist/uPlot.iife.min.js package/dist/uPlot.min.css package/LICENSE
  mv "$work/uplot" "$uplot_dir"
  rm -rf "$work"
}

# fetch_package NAME@VERSION INTEGRITY FOLDER INSTEAD: its archive from npm, verified, in FOLDER.
fetch_package() {
  command -v npm >/dev/null || require npm
  npm pack --silent --pack-destination "$3" "$1" >/dev/null || fail "npm could not fetch $1" "$4"
  check_integrity "$3"/*.tgz "$2" "$1"
}

# check_integrity FILE INTEGRITY NAME
check_integrity() {
  local actual
  actual=$(python3 -c 'import base64, hashlib, sys
digest = hashlib.sha512(open(sys.argv[1], "rb").read()).digest()
print("sha512-" + base64.b64encode(digest).decode())' "$1")
  [ "$actual" = "$2" ] || fail "$3: integrity is $actual, expected $2"
}

check_commit() { [[ $(git -C "$1" rev-parse HEAD 2>/dev/null) == "$commit"* ]]; }

# Configures once, and again when the options above change. build.ninja is CMake's last output.
configure_llama() {
  [ -d "$source_dir/tests" ] || options=("${options[@]/LLAMA_BUILD_TESTS=ON/LLAMA_BUILD_TESTS=OFF}")
  local stamp=$build_dir/hypura-options wanted="$source_dir ${options[*]}" fresh=()
  if [ -f "$stamp" ]; then
    [ "$(cat "$stamp")" != "$wanted" ] || [ ! -f "$build_dir/build.ninja" ] || return 0
    fresh=(--fresh)
    # Shaders that were generated do not follow the options by themselves.
    rm -rf "$build_dir/ggml/src/ggml-vulkan"
  fi
  say "configuring llama.cpp in $build_dir"
  cmake "${fresh[@]}" -S "$source_dir" -B "$build_dir" "${options[@]}" --log-level=WARNING >/dev/null
  echo "$wanted" >"$stamp"
}

build_llama() {
  ! ninja -C "$build_dir" -n "$@" | grep -q "no work to do" || return 0
  say "building llama.cpp: $* (minutes on the first run)"
  local log=$build_dir/hypura-build.log
  # Warnings in llama.cpp's own code are not for our users.
  ninja -C "$build_dir" -j "$jobs" "$@" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    say "llama.cpp did not build; the whole output is in $log"
    return 1
  }
}

main "$@"
