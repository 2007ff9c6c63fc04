#include "backend/streamed_model.h"

#include <algorithm>
#include <utility>

#include "backend/device.h"
#include "base/check.h"
#include "base/clock.h"
#include "ggml-impl.h"

namespace hypura {
namespace {

// A graph of a long prompt takes seconds; a person looks a few times in each.
constexpr uint64_t kPublishEveryNs = 100'000'000;

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

uint64_t buffer_bytes(const ggml_cgraph* graph) {
  std::vector<ggml_backend_buffer_t> buffers;
  uint64_t bytes = 0;
  for (int i = 0; graph != nullptr && i < graph->n_nodes; ++i) {
    const ggml_tensor* node = graph->nodes[i];
    // Views lie in buffers of others: weights, and the KV cache, which has been cleared by now.
    if (node->view_src != nullptr || node->buffer == nullptr) continue;
    if (std::find(buffers.begin(), buffers.end(), node->buffer) != buffers.end()) continue;
    buffers.push_back(node->buffer);
    bytes += ggml_backend_buffer_get_size(node->buffer);
  }
  return bytes;
}

}  // namespace

Result<std::unique_ptr<StreamedModel>> StreamedModel::create(const ModelIndex& index,
                                                             StreamedModelOptions options) {
  std::vector<AddressReservation> reservations;
  for (const Shard& shard : index.shards()) {
    Result<AddressReservation> reservation = AddressReservation::create(shard.bytes);
    if (!reservation.ok()) return reservation.status();
    reservations.push_back(*std::move(reservation));
  }
  register_device();
  return std::unique_ptr<StreamedModel>(
      new StreamedModel(index, std::move(options), std::move(reservations)));
}

StreamedModel::StreamedModel(const ModelIndex& index, StreamedModelOptions options,
                             std::vector<AddressReservation> reservations)
    : index_(index),
      options_(std::move(options)),
      reservations_(std::move(reservations)),
      uses_(index.tensors().size()),
      threads_(options_.threads) {
  if (!options_.repack) return;
  repack_ = std::make_unique<Repack>(uses_.size(), options_.work_bytes, options_.threads);
}

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

void StreamedModel::take_census(ggml_cgraph* graph, Computes where) {
  const std::lock_guard lock(compute_mutex_);
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
      if (use.number == 0) use.number = ++uses_seen_;
      if (where == Computes::gpu) continue;
      if (repack_ != nullptr) repack_->note(node, position, weight->id, demand_);
      if (node->op == GGML_OP_GET_ROWS) {
        demand_.rows_per_graph = std::max(demand_.rows_per_graph,
                                          static_cast<uint64_t>(ggml_nelements(node->src[1])));
      }
      if (node->op == GGML_OP_MUL_MAT_ID) {
        demand_.scratch_bytes = std::max(demand_.scratch_bytes, expert_scratch_bytes(node));
      }
    }
  }
  if (where == Computes::gpu) return;
  demand_.work_bytes = std::max(demand_.work_bytes, work_bytes(graph));
}

uint64_t StreamedModel::work_bytes(const ggml_cgraph* graph) const {
  return options_.work_bytes == nullptr ? 0 : options_.work_bytes(graph, options_.threads);
}

void StreamedModel::lend_threads(ggml_backend_t backend) {
  const std::lock_guard lock(compute_mutex_);
  threads_.serve(backend, options_.threads);
}

std::vector<uint64_t> StreamedModel::repacked_bytes() const {
  std::vector<uint64_t> bytes(uses_.size());
  if (repack_ == nullptr) return bytes;
  std::vector<int> tensors(uses_.size());
  for (const auto& weight : weights_) {
    // Two tensors of one weight would share what only one of them is filled with.
    const bool alone = ++tensors[weight->id.value] == 1;
    bytes[weight->id.value] = alone ? repack_->bytes(weight->id) : 0;
  }
  return bytes;
}

Result<uint64_t> StreamedModel::repack(const Layout& layout, BlockDevice& device,
                                       const std::function<bool(uint64_t, uint64_t)>& progress) {
  std::vector<Repack::Moved> moved;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const TensorId id = weights_[i]->id;
    if (layout.homes[id.value].home == Home::repacked) moved.push_back({id, tensors_[i]});
  }
  if (moved.empty()) return uint64_t{0};
  Result<Reader> reader = Reader::open(index_, device, {.chunk_bytes = kReadChunkBytes});
  if (!reader.ok()) return reader.status();
  const Status status = repack_->move(index_, moved, *reader, progress);
  if (!status.ok()) return status;
  return reader->stats().bytes_delivered;
}

void StreamedModel::attach(std::unique_ptr<Residency> residency,
                           const PrefetchOptions& prefetch) {
  residency_ = std::move(residency);
  for (size_t i = 0; i < weights_.size(); ++i) {
    std::byte* pinned = residency_->pinned(weights_[i]->id);
    if (pinned != nullptr) tensors_[i]->data = pinned;
  }
  walk_ = std::make_unique<GraphWalk>(*this, *residency_, prefetch);
  walk_->set_stop(options_.stop);
}

Status StreamedModel::attach_gpu(const GpuExpertsOptions& options) {
  HYPURA_CHECK(residency_ != nullptr);
  Result<std::unique_ptr<GpuWalk>> walk =
      GpuWalk::create(index_, *residency_, options, std::nullopt);
  if (!walk.ok()) return walk.status();
  gpu_walk_ = *std::move(walk);
  gpu_walk_->set_stop(options_.stop);
  return Status();
}

Status StreamedModel::attach_batches(const GpuExpertsOptions& options) {
  HYPURA_CHECK(residency_ != nullptr);
  Result<std::unique_ptr<GpuBatches>> batches =
      GpuBatches::create(*this, *residency_, options, walk_->make_fill());
  if (!batches.ok()) return batches.status();
  gpu_batches_ = *std::move(batches);
  gpu_batches_->set_stop(options_.stop);
  walk_->set_batches(gpu_batches_.get());
  return Status();
}

void StreamedModel::follow_home(TensorId id) {
  std::byte* pinned = residency_->pinned(id);
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i]->id != id) continue;
    tensors_[i]->data = pinned != nullptr ? pinned : weights_[i]->reserved;
  }
}

void StreamedModel::forget_tensors() {
  HYPURA_CHECK(residency_ == nullptr);
  weights_.clear();
  tensors_.clear();
}

Status StreamedModel::make_ready() {
  const std::lock_guard lock(compute_mutex_);
  return ensure_ready(nullptr);
}

StreamedModelStats StreamedModel::stats() const {
  StreamedModelStats stats;
  if (residency_ == nullptr) return stats;
  stats.residency = residency_->stats();
  stats.cache = residency_->cache_bytes();
  stats.walk = walk_->stats();
  stats.prefetch = walk_->prefetch_stats();
  if (gpu_walk_ != nullptr) stats.gpu = gpu_walk_->stats();
  if (gpu_batches_ != nullptr) stats.gpu = gpu_batches_->stats();
  stats.reads_outstanding = residency_->reader().outstanding();
  return stats;
}

StreamedModelStats StreamedModel::last_stats() const {
  const std::lock_guard lock(stats_mutex_);
  return last_stats_;
}

void StreamedModel::publish_stats() {
  const StreamedModelStats now = stats();
  publish_due_ns_ = now_ns() + kPublishEveryNs;
  const std::lock_guard lock(stats_mutex_);
  last_stats_ = now;
}

void StreamedModel::publish_stats_in_time() {
  if (now_ns() >= publish_due_ns_) publish_stats();
}

void StreamedModel::set_recorder(RoutingRecorder* recorder) {
  const std::lock_guard lock(compute_mutex_);
  HYPURA_CHECK(walk_ != nullptr);
  walk_->set_recorder(recorder);
  if (gpu_walk_ != nullptr) gpu_walk_->set_recorder(recorder);
  if (gpu_batches_ != nullptr) gpu_batches_->set_recorder(recorder);
}

void StreamedModel::set_cache_sizer(CacheSizer* sizer) {
  const std::lock_guard lock(compute_mutex_);
  HYPURA_CHECK(walk_ != nullptr);
  walk_->set_cache_sizer(sizer);
}

ggml_status StreamedModel::compute(ggml_backend_t backend, ggml_cgraph* graph,
                                   GraphCompute cpu_compute) {
  const std::lock_guard lock(compute_mutex_);
  if (Status status = ensure_ready(graph); !status.ok()) return GGML_STATUS_FAILED;
  threads_.serve(backend, threads_asked());
  const ggml_status status = walk_->run(backend, graph, cpu_compute);
  publish_stats();
  if (!walk_->error().ok()) fail(walk_->error());
  return status;
}

ggml_status StreamedModel::compute_on_gpu(ggml_backend_t backend, ggml_cgraph* graph,
                                          GraphCompute gpu_compute) {
  const std::lock_guard lock(compute_mutex_);
  if (Status status = ensure_ready(graph); !status.ok()) return GGML_STATUS_FAILED;
  HYPURA_CHECK(gpu_walk_ != nullptr);
  const ggml_status status = gpu_walk_->run(backend, graph, gpu_compute);
  publish_stats();
  if (!gpu_walk_->error().ok()) fail(gpu_walk_->error());
  return status;
}

Status StreamedModel::ensure_ready(const ggml_cgraph* graph) {
  if (walk_ != nullptr || !prepare_error_.ok()) return prepare_error_;
  HYPURA_CHECK(options_.prepare);
  prepare_error_ = options_.prepare(buffer_bytes(graph));
  if (!prepare_error_.ok()) {
    fail(prepare_error_);
  } else {
    publish_stats();
  }
  return prepare_error_;
}

void StreamedModel::fail(const Status& error) {
  error_ = error;
  if (options_.report) options_.report(error);
}

void StreamedModel::read_weight(const Weight& weight, uint64_t offset, std::byte* destination,
                                uint64_t bytes) {
  const std::lock_guard lock(compute_mutex_);
  Status status = ensure_ready(nullptr);
  if (status.ok()) status = residency_->read_bytes(weight.id, offset, destination, bytes);
  // ggml has no way to report it, and whoever reads a weight trusts what it gets.
  if (!status.ok()) GGML_ABORT("%s", status.message().c_str());
}

Status StreamedModel::take_error() {
  const std::lock_guard lock(compute_mutex_);
  return std::exchange(error_, Status());
}

}  // namespace hypura
