#include "backend/gpu/batches.h"

#include <optional>
#include <utility>

#include "backend/streamed_model.h"
#include "backend/weight.h"

namespace hypura {
namespace {

// As llama.cpp's GPU backends have it for weights in RAM, and plans (kGpuBatchTokens).
constexpr int64_t kTokensLeast = 32;
// Norms, biases and the like go to the GPU with what a run reads.
constexpr uint64_t kVectorBytesMax = uint64_t{4} << 20;
// What GPUs want behind a matrix, at most.
constexpr uint64_t kPadding = 4096;

bool is_product(const ggml_tensor* node) {
  return node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_MUL_MAT_ID;
}

int64_t tokens_of(const ggml_tensor* product) {
  return product->op == GGML_OP_MUL_MAT_ID ? product->ne[2] : product->ne[1];
}

// Of a product with a weight of ours; nothing for other nodes.
std::optional<int64_t> tokens_with_weight(const ggml_tensor* node) {
  if (!is_product(node) || weight_of(node->src[0]) == nullptr) return std::nullopt;
  return tokens_of(node);
}

// Computed by the same graph, or brought for it: not a cache, which lives longer.
bool is_of_graph(const ggml_tensor* tensor) {
  const ggml_tensor* root = tensor->view_src != nullptr ? tensor->view_src : tensor;
  return root->buffer != nullptr && ggml_backend_buffer_is_host(root->buffer) &&
         ggml_backend_buffer_get_usage(root->buffer) == GGML_BACKEND_BUFFER_USAGE_COMPUTE;
}

}  // namespace

Result<std::unique_ptr<GpuBatches>> GpuBatches::create(const StreamedModel& model,
                                                       Residency& residency,
                                                       const GpuExpertsOptions& options,
                                                       ExpertFill fill) {
  ggml_backend_ptr backend(ggml_backend_dev_init(options.gpu, nullptr));
  if (backend == nullptr) {
    return Status(StatusCode::failed, "the GPU cannot allocate what computing takes")
        .suggest("a smaller --gpu-budget");
  }
  Result<std::unique_ptr<GpuWalk>> walk =
      GpuWalk::create(model.index(), residency, options, std::move(fill));
  if (!walk.ok()) return walk.status();
  return std::unique_ptr<GpuBatches>(
      new GpuBatches(model, residency, options, std::move(backend), *std::move(walk)));
}

GpuBatches::GpuBatches(const StreamedModel& model, Residency& residency,
                       const GpuExpertsOptions& options, ggml_backend_ptr backend,
                       std::unique_ptr<GpuWalk> walk)
    : model_(model),
      residency_(residency),
      gpu_(options.gpu),
      place_bytes_(options.place_bytes),
      backend_(std::move(backend)),
      walk_(std::move(walk)),
      mirror_(backend_.get()) {}

void GpuBatches::begin(const ggml_cgraph* graph) {
  runs_.clear();
  next_ = 0;
  if (refused_) return;
  int begin = 0;
  bool worth = false;
  for (int i = 0; i <= graph->n_nodes; ++i) {
    const ggml_tensor* node = i < graph->n_nodes ? graph->nodes[i] : nullptr;
    const std::optional<int64_t> tokens = node == nullptr ? std::nullopt : tokens_with_weight(node);
    // A graph of few tokens has no runs, and is not looked at for long.
    if (tokens.has_value() && *tokens < kTokensLeast && runs_.empty() && !worth) {
      walk_->stop_reading_ahead();  // slots that were kept for a batch are the CPU's
      return;
    }
    if (node != nullptr && takes(node)) {
      worth = worth || tokens.has_value();
      continue;
    }
    if (worth) runs_.emplace_back(begin, i);
    begin = i + 1;
    worth = false;
  }
}

int GpuBatches::run_end(int i) {
  while (next_ < runs_.size() && runs_[next_].second <= i) ++next_;
  return next_ < runs_.size() && runs_[next_].first == i ? runs_[next_].second : i;
}

GpuWalkStats GpuBatches::stats() const {
  GpuWalkStats stats = walk_->stats();
  stats.refused = refused_;
  return stats;
}

Result<bool> GpuBatches::compute(const ggml_cgraph* graph, int begin, int end) {
  if (!mirror_.build(graph, begin, end)) {
    refused_ = true;
    runs_.clear();
    walk_->stop_reading_ahead();
    return false;
  }
  mirror_.send();
  const ggml_status status =
      walk_->run(backend_.get(), mirror_.graph(), backend_->iface.graph_compute);
  if (status == GGML_STATUS_ABORTED) return Status(StatusCode::interrupted, "interrupted");
  if (status != GGML_STATUS_SUCCESS) {
    // What the run brought is gone: only what comes after can be the CPU's.
    refused_ = walk_->error().code() == StatusCode::does_not_fit;
    return walk_->error();
  }
  mirror_.fetch();
  walk_->settle();
  return true;
}

// What a run may have. What it may not, it ends in front of: caches, and what has no business
// there.
bool GpuBatches::takes(const ggml_tensor* node) const {
  const bool view = ggml_op_is_empty(node->op);
  if (!view && (node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) return false;
  if (!view && node->view_src != nullptr) return false;  // it writes to what is elsewhere
  if (!is_of_graph(node)) return false;
  for (int position = 0; position < GGML_MAX_SRC; ++position) {
    const ggml_tensor* source = node->src[position];
    if (source == nullptr) continue;
    const bool weight = weight_of(source) != nullptr;
    if (weight ? !takes_weight(node, position) : !is_of_graph(source)) return false;
  }
  return view || ggml_backend_dev_supports_op(gpu_, node);
}

bool GpuBatches::takes_weight(const ggml_tensor* node, int position) const {
  const ggml_tensor* source = node->src[position];
  const Weight& weight = *weight_of(source);
  if (weight.model != &model_) return false;
  const TensorId id = weight.id;
  const TensorInfo& tensor = model_.index().tensor(id);
  if (!is_product(node) || position != 0) {
    return residency_.pinned(id) != nullptr && tensor.bytes <= kVectorBytesMax;
  }
  if (source->view_src != nullptr || tokens_of(node) < kTokensLeast) return false;
  if (tensor.bytes + kPadding > place_bytes_) return false;
  // Routed matrices that the index does not know as experts.
  if (node->op == GGML_OP_MUL_MAT_ID && tensor.expert_count == 0) return false;
  const Home home = residency_.home(id);
  if (residency_.pinned(id) != nullptr) return true;
  return node->op == GGML_OP_MUL_MAT ? home == Home::stream : home == Home::experts;
}

}  // namespace hypura
