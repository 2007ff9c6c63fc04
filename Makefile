# Two commands do everything on a fresh Debian 12: `make demo` and `make test`.
# HYPURA_LLAMA_DIR=DIR uses a checkout of llama.cpp v0.5.0 in place of the fetched one.
# GPU=cuda or GPU=vulkan builds build/hypura for one, in folders of its own; all else stays CPU.
GPU ?= none
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 600
SOAK_MINUTES ?= 60
export JOBS HYPURA_CACHE HYPURA_LLAMA_DIR HYPURA_UPLOT_DIR HYPURA_CUDA_ARCHITECTURES
release := release$(patsubst %,-%,$(filter-out none,$(GPU)))

.DEFAULT_GOAL := build
.PHONY: build plugin man demo test cross soak bench bench-headline bench-matrix bench-prediction bench-sweep bench-gpu models fuzz clean help

build:    ## build/hypura, for the CPU or with GPU=cuda or GPU=vulkan
	@tools/bootstrap.sh build $(GPU)
	@tools/build.sh build/$(release) hypura $$(tools/bootstrap.sh paths $(GPU))
	@ln -sfn $(release)/src/cli/hypura build/hypura

plugin: build    ## the plug-in for llama.cpp's own programs: build/libggml-hypura.so
	@tools/bootstrap.sh plugin
	@tools/build.sh build/release ggml-hypura
	@ln -sfn release/src/plugin/libggml-hypura.so build/libggml-hypura.so

demo: build    ## a story from a model whose experts stream from the drive
	@build/hypura run models/storyteller-moe-q4_k_m.gguf -p "Once upon a time" \
	  -n 200 --temp 0.8 --seed 5 --ram-budget min

test:    ## every test, sanitizers, 60 s of fuzzing, and cross
	@tools/test.sh

cross:    ## everything for macOS on Apple silicon compiled and linked, on Linux (fetches zig)
	@tools/cross.sh

soak:    ## a server under load, random seeds and fuzzing for SOAK_MINUTES
	@tools/soak.sh $(SOAK_MINUTES)

bench: build    ## hypura against llama.cpp beyond the RAM limit (root; writes 11 GB to build/models)
	@bench/run.sh

bench-matrix: build    ## limits from 120 % to 20 % of a dense and an MoE model, never below mmap (root)
	@bench/matrix.sh

bench-headline: build    ## 14B, 30B-A3B, 8x7B and 70B at 40 % and 25 % (root; up to 44 GB in build/models, one at a time)
	@bench/headline.sh

bench-prediction: build    ## predicted and actual speeds of 16 cells (writes 15 GB to build/models)
	@tools/bootstrap.sh bench
	@tools/build.sh build/release "hypura hypura_make_model"
	@bench/prediction.py

bench-sweep: build    ## the chosen plans against other ones, in real runs (writes 3 GB to build/models)
	@tools/bootstrap.sh bench
	@tools/build.sh build/release "hypura hypura_make_model"
	@bench/sweep.py

bench-serve:    ## the server against runs, and many sequences against one (writes 0.9 GB to build/models)
	@tools/bootstrap.sh bench
	@tools/build.sh build/release "hypura hypura_make_model"
	@bench/serve.py

bench-gpu:    ## hypura with a GPU (GPU=cuda unless named) against llama.cpp with the same (root; up to 44 GB in build/models)
	@GPU=$(patsubst none,cuda,$(GPU)) bench/gpu.sh

man: build    ## the manual pages: build/man/hypura.1, hypura-run.1 and so on
	@build/hypura man --dir build/man

models:    ## fetch SmolLM2-135M-Instruct into the cache
	@tools/fetch_smollm2.sh

fuzz:    ## the fuzzers for FUZZ_SECONDS
	@tools/bootstrap.sh tests
	@tools/fuzz.sh $(FUZZ_SECONDS)

clean:    ## remove build/; llama.cpp stays in the cache
	rm -rf build

help:
	@sed -n 's/^\([a-z-]*\):.*## */  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24
