#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "base/status.h"
#include "ggml-backend-impl.h"
#include "ggml-impl.h"

namespace hypura {

using GraphCompute = ggml_status (*)(ggml_backend_t, ggml_cgraph*);

// Hands runs of nodes to a backend, with some of their sources replaced by shadows: copies
// of a weight's tensor whose data lies in a slot. Replaced sources are restored after the run, so
// that llama.cpp finds its graph as it built it. Shadows and index buffers are reused: nothing is
// allocated once all graphs have been seen.
class NodeRunner {
 public:
  // `on_flushed` runs after each flush: leases of the run end there.
  explicit NodeRunner(std::function<void()> on_flushed) : on_flushed_(std::move(on_flushed)) {}

  void begin(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute backend_compute);
  // First node not computed yet.
  int next() const { return next_; }

  // Computes the pending nodes [next, end), then forgets all patches.
  Status flush(int end);
  // Computes one tensor that is not a node of the graph. REQUIRES: nothing is pending.
  Status run_one(ggml_tensor* tensor);
  // Counts node `i` as computed. REQUIRES: next() == i.
  void skip(int i);
  // Counts nodes up to `end` as computed. REQUIRES: nothing is pending.
  void skip_to(int end) { next_ = end; }
  // Restores every patched source without computing.
  void abandon();

  // A shadow of `tensor`, valid until the next flush.
  ggml_tensor* shadow(const ggml_tensor* tensor);
  // Replaces a source of a node of the graph until the next flush.
  void patch(ggml_tensor* node, int position, ggml_tensor* shadow);
  // Room for `count` indices, valid until the next flush.
  int32_t* indices(size_t count);

  uint64_t compute_ns() const { return compute_ns_; }
  uint64_t calls() const { return calls_; }

 private:
  Status compute(ggml_cgraph* graph);
  void restore();

  struct Patch {
    ggml_tensor* node;
    int position;
    ggml_tensor* original;
  };

  std::function<void()> on_flushed_;
  ggml_backend_t backend_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  GraphCompute compute_ = nullptr;
  int next_ = 0;
  std::vector<Patch> patches_;
  std::deque<ggml_tensor> shadows_;
  size_t shadows_used_ = 0;
  std::deque<std::vector<int32_t>> indices_;
  size_t indices_used_ = 0;
  uint64_t compute_ns_ = 0;
  uint64_t calls_ = 0;
};

}  // namespace hypura
