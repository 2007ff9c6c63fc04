#pragma once

#include <vector>

#include "backend/node_runner.h"
#include "backend/weight.h"
#include "cache/slot_table.h"
#include "residency/residency.h"

namespace hypura {

// Computes GET_ROWS nodes on weights whose rows are read on demand, in as many parts as the row
// cache needs. Rows are independent, so the bits do not depend on the parts.
class RowStep {
 public:
  RowStep(Residency& residency, NodeRunner& runner) : residency_(residency), runner_(runner) {}

  // Node `i` is computed. REQUIRES: src[0] is the whole weight and has a row cache.
  Status visit(ggml_cgraph* graph, int i, TensorId tensor);

 private:
  Status compute_part(ggml_tensor* node, SlicePool& rows, int64_t first, int64_t count);

  Residency& residency_;
  NodeRunner& runner_;
  std::vector<Lease> leases_;
};

}  // namespace hypura
