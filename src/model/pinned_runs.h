#pragma once

#include <vector>

#include "base/ids.h"
#include "model/layout.h"
#include "model/model_index.h"

namespace hypura {

// Pinned tensors that lie next to each other in a file are read and kept as one run.
struct PinnedRun {
  uint32_t shard = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::vector<TensorId> tensors;  // by offset
};

// The runs of all tensors whose home is pinned, by shard and offset. Gaps smaller than a disk block
// are read along. Memory for a run is widened_bytes(bytes).
std::vector<PinnedRun> pinned_runs(const ModelIndex& index, const std::vector<TensorHome>& homes);

}  // namespace hypura
