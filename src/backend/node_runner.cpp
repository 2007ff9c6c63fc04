#include "backend/node_runner.h"

#include <fmt/format.h>

#include <string>

#include "base/check.h"
#include "base/clock.h"

namespace hypura {

void NodeRunner::begin(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute backend_compute) {
  backend_ = backend;
  graph_ = graph;
  compute_ = backend_compute;
  next_ = 0;
}

Status NodeRunner::flush(int end) {
  Status status;
  if (end > next_) {
    ggml_cgraph view = *graph_;
    view.size = 0;
    view.nodes += next_;
    view.n_nodes = end - next_;
    view.n_leafs = 0;
    view.leafs = nullptr;
    view.grads = nullptr;
    view.grad_accs = nullptr;
    view.uid = 0;
    status = compute(&view);
    next_ = end;
  }
  restore();
  on_flushed_();
  return status;
}

Status NodeRunner::run_one(ggml_tensor* tensor) {
  ggml_cgraph single{};
  single.nodes = &tensor;
  single.n_nodes = 1;
  return compute(&single);
}

void NodeRunner::skip(int i) {
  HYPURA_CHECK(next_ == i);
  next_ = i + 1;
}

void NodeRunner::abandon() {
  restore();
  on_flushed_();
}

ggml_tensor* NodeRunner::shadow(const ggml_tensor* tensor) {
  if (shadows_used_ == shadows_.size()) shadows_.emplace_back();
  ggml_tensor* shadow = &shadows_[shadows_used_++];
  *shadow = *tensor;
  shadow->view_src = nullptr;
  shadow->view_offs = 0;  // some backends add it to the data again
  return shadow;
}

void NodeRunner::patch(ggml_tensor* node, int position, ggml_tensor* shadow) {
  patches_.push_back({.node = node, .position = position, .original = node->src[position]});
  node->src[position] = shadow;
}

int32_t* NodeRunner::indices(size_t count) {
  if (indices_used_ == indices_.size()) indices_.emplace_back();
  std::vector<int32_t>& buffer = indices_[indices_used_++];
  if (buffer.size() < count) buffer.resize(count);
  return buffer.data();
}

Status NodeRunner::compute(ggml_cgraph* graph) {
  const uint64_t start_ns = now_ns();
  const ggml_status status = compute_(backend_, graph);
  compute_ns_ += now_ns() - start_ns;
  ++calls_;
  if (status == GGML_STATUS_SUCCESS) return Status();
  if (status == GGML_STATUS_ABORTED) return Status(StatusCode::interrupted, "interrupted");
  const std::string failure =
      fmt::format("ggml's backend {} could not compute a graph", ggml_backend_name(backend_));
  if (status != GGML_STATUS_ALLOC_FAILED) return Status(StatusCode::failed, failure);
  return Status(StatusCode::does_not_fit, failure).because("it lacks memory");
}

void NodeRunner::restore() {
  for (auto patch = patches_.rbegin(); patch != patches_.rend(); ++patch) {
    patch->node->src[patch->position] = patch->original;
  }
  patches_.clear();
  shadows_used_ = 0;
  indices_used_ = 0;
}

}  // namespace hypura
