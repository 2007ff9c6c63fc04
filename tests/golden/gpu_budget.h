#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/engine.h"

namespace hypura::golden {

// The budget of the GPU with which `share` of the weights fit there, beside what contexts take.
// `all`: the plan with all of them there.
inline uint64_t gpu_bytes(const PlanSummary& all, double share) {
  return all.gpu.kv_bytes + all.gpu.compute_bytes +
         static_cast<uint64_t>(share * static_cast<double>(all.gpu.weight_bytes));
}

// What computing batches below the GPU takes of it beside that: two places and activations.
inline uint64_t batch_bytes(const PlanSummary& all, const ModelIndex& index) {
  uint64_t largest = 0;
  for (const TensorInfo& tensor : index.tensors()) largest = std::max(largest, tensor.bytes);
  return 2 * all.gpu.compute_bytes + 2 * (largest + 4096);
}

}  // namespace hypura::golden
