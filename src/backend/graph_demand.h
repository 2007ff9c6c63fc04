#pragma once

#include <cstdint>

namespace hypura {

// What the graphs of a model's contexts need beside weights.
struct GraphDemand {
  uint64_t work_bytes = 0;      // ggml's CPU work buffer
  uint64_t scratch_bytes = 0;   // ours, to compute a node in groups of experts
  uint64_t rows_per_graph = 0;  // most rows one GET_ROWS asks of one weight
};

}  // namespace hypura
