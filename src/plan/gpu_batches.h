#pragma once

#include <cstdint>

#include "machine/profile.h"
#include "model/model_index.h"
#include "plan/gpu_share.h"

namespace hypura {

// A GPU takes batches of so many tokens of what lies below it, as llama.cpp's backends do
// (backend/gpu/batches.cpp).
inline constexpr uint32_t kGpuBatchTokens = 32;

// What computing batches below a GPU is decided by.
struct BatchInput {
  // With batch_compute_bytes; with experts_used where these are copied: all fit its ram_bytes then.
  GpuShareInput share;
  bool streams = false;      // also what would fit there
  bool asked = false;        // whether it pays or not
  uint32_t micro_batch = 0;  // tokens
  int threads = 0;           // of the CPU, for batches
  double heat = 0;           // skew of routing, where experts are copied
};

// What kernels take of a GPU for themselves as activations grow by so much: rows of tokens in other
// types, by ggml-cuda's products of the shape of Qwen3-30B-A3B a tenth where experts are quantised,
// two thirds where they are F16. With the usual micro-batch it is part of what drivers take.
uint64_t kernel_bytes(uint64_t more_activations);

// `staying`, where the CPU computes all that lies below the GPU, or what is left of it with room
// for batches: where something streams, the room is at most half of the GPU's or costs it no layer,
// and a prompt of 2048 tokens with an answer of 64 is faster. Each of its micro-batches takes the
// CPU's products, or what is read meanwhile; on the GPU what is read, or passes the bus; a token of
// the answer reads what is missed, and the room holds no weights. A machine that is not known takes
// batches. Pure.
GpuShare better_for_batches(const ModelIndex& index, GpuShare staying, const BatchInput& input,
                            const MachineProfile& machine);

// `input`, where experts are copied from the `ram_bytes` that weights have, and not streamed.
BatchInput with_copies(const ModelIndex& index, BatchInput input, uint64_t ram_bytes);

// Where a GPU would compute batches of what streams, or has experts copied to it, the micro-batch
// with which a prompt of 2048 tokens and an answer of 64 take clearly less: input's, or twice as
// many tokens and so on, no more than `most`. What is missing is read or copied once a micro-batch;
// but activations grow with it, on the GPU and, by `compute_bytes` at input's, in RAM, where they
// take no more than a quarter from weights; beside a cache, kernel_bytes() with them.
// Input's own where the machine is not known. Pure.
uint32_t better_micro_batch(const ModelIndex& index, const BatchInput& input,
                            uint64_t compute_bytes, uint32_t most, const MachineProfile& machine);

}  // namespace hypura
