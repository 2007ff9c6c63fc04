#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace hypura {

// What decides the bits of a run's output, besides model and tokens. Two runs with equal numerics
// give equal logits, streamed or not; with repack, only if the same weights are repacked.
struct Numerics {
  int threads = 0;
  int threads_batch = 0;
  uint32_t batch = 0;
  uint32_t micro_batch = 0;
  uint32_t context = 0;
  bool flash_attention = false;
  std::string type_k;
  std::string type_v;
  bool repack = false;
  uint64_t gpu_weight_bytes = 0;  // whose kernels are the GPU's
  bool gpu_batches = false;       // as are those of batches with the other ones
};

Numerics numerics_of(const Engine& engine);

}  // namespace hypura
