#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "ggml.h"
#include "trace/routing_recorder.h"

namespace hypura {

// Shows a recorder what the routers of a graph chose. Off by default; then it costs one comparison
// a node.
class RoutingTap {
 public:
  // nullptr: nothing is recorded. The recorder outlives the tap, or is taken away before.
  void set(RoutingRecorder* recorder) { recorder_ = recorder; }
  // Starts a graph.
  void begin() { recorded_ = nullptr; }

  // Whether `node` is the first to use its ids: they are to be computed before record().
  bool wants(const ggml_tensor* node) const {
    return recorder_ != nullptr && node->op == GGML_OP_MUL_MAT_ID && node->src[2] != recorded_;
  }
  // REQUIRES: wants(node). `ids`: the node's as computed, in RAM.
  Status record(const ggml_tensor* node, const ggml_tensor* ids, uint32_t layer);

 private:
  RoutingRecorder* recorder_ = nullptr;
  const ggml_tensor* recorded_ = nullptr;  // ids
  std::vector<int32_t> experts_;
};

}  // namespace hypura
