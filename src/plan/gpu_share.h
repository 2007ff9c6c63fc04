#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_index.h"

namespace hypura {

// What of a model lies on the GPU. Everything else stays below: in RAM, or on the drive.
struct GpuShare {
  std::vector<bool> on_gpu;  // by tensor; empty: none
  uint32_t layers = 0;       // the last ones: attention, norms, router, shared experts and KV
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;
};

struct GpuShareInput {
  uint64_t bytes = 0;     // for weights and KV
  uint64_t kv_bytes = 0;  // of all layers
};

// Output and whole layers without their FFN first, as every token needs all of them and the KV cache
// goes with them, from the last layer on; where all layers are there, FFNs and experts, layer by
// layer as a whole. Look-ups of embeddings stay with the CPU, as llama.cpp keeps them. Pure.
GpuShare choose_gpu_share(const ModelIndex& index, const GpuShareInput& input);

// A regular expression for the names of FFNs and experts that stay below, as llama.cpp's tensor
// overrides take it; empty if there are none. Layers that are not there are no business of it, but
// may be named.
std::string names_below(const ModelIndex& index, const GpuShare& share);

}  // namespace hypura
