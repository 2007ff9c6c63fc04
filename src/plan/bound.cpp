#include "plan/bound.h"

#include <algorithm>

namespace hypura {

TokenBytes token_bytes(const ModelIndex& index) {
  const bool tied = index.bytes_of(TensorRole::output) == 0;
  TokenBytes bytes;
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.expert_count > 0) {
      const uint64_t used = std::min<uint64_t>(index.info().expert_used_count, tensor.expert_count);
      bytes.experts += tensor.bytes;
      bytes.routed += used * tensor.expert_bytes();
    } else if (tensor.role != TensorRole::embedding || tied) {
      bytes.dense += tensor.bytes;
    }
  }
  return bytes;
}

Bound bound_of(const BoundInput& input) {
  const uint64_t dense = std::min(input.bytes.dense, input.memory_bytes);
  const uint64_t experts = std::min(input.bytes.experts, input.memory_bytes - dense);
  Bound bound;
  if (input.bytes.experts > 0) {
    bound.slot_share = static_cast<double>(experts) / static_cast<double>(input.bytes.experts);
  }
  bound.missing_bytes = static_cast<double>(input.bytes.dense - dense) +
                        static_cast<double>(input.bytes.routed) * (1 - bound.slot_share);
  if (input.drive_gbps > 0) bound.drive_seconds = bound.missing_bytes / (input.drive_gbps * 1e9);
  bound.seconds = std::max(bound.drive_seconds, input.compute_seconds);
  return bound;
}

}  // namespace hypura
