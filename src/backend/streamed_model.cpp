#include "backend/streamed_model.h"

#include <algorithm>
#include <utility>

#include "backend/device.h"
#include "base/check.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"

namespace hypura {
namespace {

// Whether `source` is all of a weight and not a part or another shape of it.
bool is_plain(const ggml_tensor* source) { return source->view_src == nullptr; }

bool is_matrix(const ggml_tensor* source) {
  return is_plain(source) && source->ne[2] == 1 && source->ne[3] == 1;
}

void note_use(const ggml_tensor* node, int position, TensorUse& use) {
  const ggml_tensor* source = node->src[position];
  if (position == 0 && node->op == GGML_OP_MUL_MAT && is_matrix(source)) {
    use.matmul = true;
  } else if (position == 0 && node->op == GGML_OP_MUL_MAT_ID && is_plain(source)) {
    use.experts = true;
  } else if (position == 0 && node->op == GGML_OP_GET_ROWS && is_matrix(source)) {
    use.rows = true;
  } else {
    use.whole = true;
  }
}

}  // namespace

Result<std::unique_ptr<StreamedModel>> StreamedModel::create(const ModelIndex& index,
                                                             int threads_max) {
  std::vector<AddressReservation> reservations;
  for (const Shard& shard : index.shards()) {
    Result<AddressReservation> reservation = AddressReservation::create(shard.bytes);
    if (!reservation.ok()) return reservation.status();
    reservations.push_back(*std::move(reservation));
  }
  register_device();
  return std::unique_ptr<StreamedModel>(
      new StreamedModel(index, threads_max, std::move(reservations)));
}

StreamedModel::StreamedModel(const ModelIndex& index, int threads_max,
                             std::vector<AddressReservation> reservations)
    : index_(index),
      reservations_(std::move(reservations)),
      uses_(index.tensors().size()),
      threads_max_(threads_max) {
  ggml_threadpool_params params = ggml_threadpool_params_default(threads_max);
  threadpool_ = ggml_threadpool_new(&params);
}

StreamedModel::~StreamedModel() { ggml_threadpool_free(threadpool_); }

bool StreamedModel::place(ggml_tensor& tensor) {
  const std::optional<TensorId> id = index_.find(tensor.name);
  if (!id) return false;
  const TensorInfo& info = index_.tensor(*id);
  if (ggml_nbytes(&tensor) != info.bytes) return false;

  auto weight = std::make_unique<Weight>();
  weight->model = this;
  weight->id = *id;
  weight->reserved = reservations_[info.shard].data() + info.offset;
  tensor.data = weight->reserved;
  tensor.extra = weight.get();
  TensorUse& use = uses_[id->value];
  use.mapped = true;
  // A weight that llama.cpp gave another shape than the file's has other rows than the index.
  if (!std::equal(info.ne.begin(), info.ne.end(), tensor.ne)) use.whole = true;
  weights_.push_back(std::move(weight));
  tensors_.push_back(&tensor);
  return true;
}

void StreamedModel::take_census(ggml_cgraph* graph) {
  if (residency_ != nullptr) return;
  for (int i = 0; i < graph->n_nodes; ++i) {
    const ggml_tensor* node = graph->nodes[i];
    if (ggml_op_is_empty(node->op)) continue;
    for (int position = 0; position < GGML_MAX_SRC; ++position) {
      if (node->src[position] == nullptr) continue;
      const Weight* weight = weight_of(node->src[position]);
      if (weight == nullptr) continue;
      TensorUse& use = uses_[weight->id.value];
      note_use(node, position, use);
      if (node->op == GGML_OP_GET_ROWS) {
        demand_.rows_per_graph = std::max(demand_.rows_per_graph,
                                          static_cast<uint64_t>(ggml_nelements(node->src[1])));
      }
      if (node->op == GGML_OP_MUL_MAT_ID) {
        demand_.scratch_bytes = std::max(demand_.scratch_bytes, expert_scratch_bytes(node));
      }
    }
  }
  const ggml_cplan plan = ggml_graph_plan(graph, threads_max_, nullptr);
  demand_.work_bytes = std::max(demand_.work_bytes, static_cast<uint64_t>(plan.work_size));
}

void StreamedModel::attach(std::unique_ptr<Residency> residency,
                           const PrefetchOptions& prefetch) {
  residency_ = std::move(residency);
  for (size_t i = 0; i < weights_.size(); ++i) {
    std::byte* pinned = residency_->pinned(weights_[i]->id);
    if (pinned != nullptr) tensors_[i]->data = pinned;
  }
  walk_ = std::make_unique<GraphWalk>(*this, *residency_, prefetch);
}

PrefetchStats StreamedModel::prefetch_stats() const {
  return walk_ == nullptr ? PrefetchStats() : walk_->prefetch_stats();
}

void StreamedModel::set_recorder(RoutingRecorder* recorder) {
  const std::lock_guard lock(compute_mutex_);
  HYPURA_CHECK(walk_ != nullptr);
  walk_->set_recorder(recorder);
}

ggml_status StreamedModel::compute(ggml_backend_t backend, ggml_cgraph* graph,
                                   GraphCompute cpu_compute) {
  const std::lock_guard lock(compute_mutex_);
  HYPURA_CHECK(walk_ != nullptr);
  ggml_backend_cpu_set_threadpool(backend, threadpool_);
  const ggml_status status = walk_->run(backend, graph, cpu_compute);
  if (!walk_->error().ok()) error_ = walk_->error();
  walk_stats_ = walk_->stats();
  return status;
}

void StreamedModel::read_weight(const Weight& weight, uint64_t offset, std::byte* destination,
                                uint64_t bytes) {
  const std::lock_guard lock(compute_mutex_);
  HYPURA_CHECK(residency_ != nullptr);
  const Status status = residency_->read_bytes(weight.id, offset, destination, bytes);
  // ggml has no way to report it, and whoever reads a weight trusts what it gets.
  if (!status.ok()) GGML_ABORT("%s", status.message().c_str());
}

Status StreamedModel::take_error() {
  const std::lock_guard lock(compute_mutex_);
  return std::exchange(error_, Status());
}

}  // namespace hypura
