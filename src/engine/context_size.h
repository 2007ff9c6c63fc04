#pragma once

#include <cstdint>

#include "base/status.h"
#include "llama.h"

namespace hypura {

// Memory a context of these parameters takes beside weights, in bytes.
struct ContextSize {
  uint64_t kv_bytes = 0;       // KV cache and recurrent state
  uint64_t compute_bytes = 0;  // activations of one micro-batch
  uint64_t output_bytes = 0;   // logits
  uint64_t gpu_kv_bytes = 0;   // in the GPUs' own memory, as the next
  uint64_t gpu_compute_bytes = 0;
  uint64_t gpu_compute_most = 0;  // of these, in the memory of one GPU
  bool flash_attention = false;
  uint32_t graph_nodes = 0;  // of one token, that compute something
  uint64_t anonymous_bytes = 0;  // of the process, while the context's bookkeeping exists
  // Of RAM.
  uint64_t total_bytes() const { return kv_bytes + compute_bytes + output_bytes; }
};

// Builds the context's graphs without allocating their memory, and adds it up. Every backend's
// graph_optimize sees the graphs on the way. Costs milliseconds, reads no weights.
// Errors: invalid_argument, if llama.cpp cannot make such a context.
Result<ContextSize> measure_context(llama_model* model, const llama_context_params& params);

}  // namespace hypura
