#include "backend/gpu/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "backend/routing_ids.h"
#include "base/check.h"

namespace hypura {
namespace {

// From so many uses an expert on, a batch may be taken to use all: of n experts with k a token, t
// tokens miss one with probability (1 - k/n)^t, 0.03 % where t * k = 8 n. To know better, everybody
// has to wait for the router, which pays where the batch before left some out.
constexpr int64_t kUsesOfAll = 8;
constexpr double kNearlyAll = 0.95;
constexpr double kUnknown = -1;

std::vector<std::span<std::byte>> memory_to_lock(const Residency& residency,
                                                 const GpuExpertsOptions& options) {
  if (options.unified) return {};
  return options.lock_ram ? residency.memory() : residency.fixed_memory();
}

}  // namespace

Result<std::unique_ptr<GpuWalk>> GpuWalk::create(const ModelIndex& index, Residency& residency,
                                                 const GpuExpertsOptions& options,
                                                 std::optional<ExpertFill> fill) {
  std::unique_ptr<GpuWalk> walk(new GpuWalk(index, residency, options, std::move(fill)));
  Result<std::unique_ptr<GpuCache>> cache =
      GpuCache::create(index, options.cache_slots, options.gpu);
  if (!cache.ok()) return cache.status();
  walk->cache_ = *std::move(cache);
  walk->cache_->fill([&](TensorId id) { return residency.pinned(id); });
  Result<std::unique_ptr<GpuStaging>> staging = GpuStaging::create(
      options.gpu, walk->queue_, kStagingEvents, options.place_bytes, options.places);
  if (!staging.ok()) return staging.status();
  walk->staging_ = *std::move(staging);
  if (options.unified) {
    Result<UnifiedMemory> unified = UnifiedMemory::wrap(options.gpu, residency.memory());
    if (!unified.ok()) return unified.status();
    walk->unified_ = *std::move(unified);
  }
  walk->id_buffer_.reset(ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(options.gpu),
                                                        kMembersMax * kIdsBytes));
  if (walk->id_buffer_ == nullptr) {
    return Status(StatusCode::failed, "the GPU cannot allocate 32 KiB")
        .suggest("a smaller --gpu-budget");
  }
  return walk;
}

GpuWalk::GpuWalk(const ModelIndex& index, Residency& residency, const GpuExpertsOptions& options,
                 std::optional<ExpertFill> fill)
    : index_(index),
      residency_(residency),
      fill_(std::move(fill)),
      host_(index, residency, fill_.has_value() ? &*fill_ : nullptr),
      lock_(options.gpu, memory_to_lock(residency, options)),
      queue_(options.gpu, kStagingEvents + 2 * options.places),
      runner_([] {}),
      used_(index.tensors().size(), kUnknown) {}

ggml_status GpuWalk::run(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute gpu_compute) {
  backend_ = backend;
  graph_ = graph;
  error_ = Status();
  ids_ = nullptr;
  staged_before_ = settled_before_ = false;
  runner_.begin(backend, graph, gpu_compute);
  tap_.begin();

  Status status = visit_all();
  end_group();
  host_.forget();
  if (status.ok()) return GGML_STATUS_SUCCESS;
  runner_.abandon();
  settle();
  stop_reading_ahead();
  if (status.code() == StatusCode::interrupted) return GGML_STATUS_ABORTED;
  error_ = std::move(status);
  return GGML_STATUS_FAILED;
}

void GpuWalk::stop_reading_ahead() {
  if (fill_.has_value()) fill_->forget();
}

Status GpuWalk::visit_all() try {
  Status status;
  for (int i = 0; i < graph_->n_nodes && status.ok(); ++i) status = visit(i);
  if (status.ok()) status = runner_.flush(graph_->n_nodes);
  return status;
} catch (const std::exception& error) {
  // Vulkan's way to say that memory is out, or the device is gone.
  return Status(StatusCode::does_not_fit, "the GPU could not go on")
      .because(error.what())
      .suggest("a smaller --gpu-budget, or 0");
}

void GpuWalk::settle() {
  ggml_backend_synchronize(backend_);
  queue_.synchronize(backend_);
  if (!std::exchange(settled_before_, true)) queue_.recycle();
  host_.release();
  pieces_.clear();
  sent_.clear();
}

Status GpuWalk::visit(int i) {
  ggml_tensor* node = graph_->nodes[i];
  if (ggml_op_is_empty(node->op) || ggml_is_empty(node)) return Status();
  if ((node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) return Status();
  if (Status status = stop_.check(); !status.ok()) return status;
  for (int position = 0; position < GGML_MAX_SRC; ++position) {
    const ggml_tensor* source = node->src[position];
    if (source == nullptr) continue;
    const Weight* weight = weight_of(source);
    if (weight == nullptr) continue;
    const bool plain = position == 0 && source->view_src == nullptr;
    Status status;
    if (plain && node->op == GGML_OP_MUL_MAT_ID) {
      status = visit_experts(i, *weight);
    } else if (plain && node->op == GGML_OP_MUL_MAT &&
               index_.tensor(weight->id).expert_count == 0) {
      status = visit_dense(i, weight->id);
    } else {
      status = visit_whole(i, position, *weight);
    }
    if (!status.ok()) return status;
  }
  return Status();
}

Status GpuWalk::visit_experts(int i, const Weight& weight) {
  ggml_tensor* node = graph_->nodes[i];
  const std::byte* pinned = unified_.has_value() ? residency_.pinned(weight.id) : nullptr;
  if (pinned != nullptr) {
    ggml_tensor* shadow = runner_.shadow(node->src[0]);
    unified_->point(*shadow, pinned);
    runner_.patch(node, 0, shadow);
    return Status();
  }
  if (node->src[2] != ids_ || member(weight.id) == nullptr) {
    end_group();
    if (Status status = begin_group(i); !status.ok()) return status;
  }
  if (by_slots_) return use_slots(i, weight.id);
  if (Status status = runner_.flush(i); !status.ok()) return status;
  const Result<const ggml_tensor*> staged = stage(weight.id, *node->src[0]);
  if (!staged.ok()) return staged.status();
  use_place(i, 0, **staged);
  return Status();
}

Status GpuWalk::visit_dense(int i, TensorId tensor) {
  end_group();
  if (Status status = runner_.flush(i); !status.ok()) return status;
  const Result<const ggml_tensor*> staged = stage_dense(tensor, *graph_->nodes[i]->src[0]);
  if (!staged.ok()) return staged.status();
  use_place(i, 0, **staged);
  return Status();
}

// Any other use of a weight gets all of it.
Status GpuWalk::visit_whole(int i, int position, const Weight& weight) {
  end_group();
  if (Status status = runner_.flush(i); !status.ok()) return status;
  ggml_tensor* node = graph_->nodes[i];
  const ggml_tensor* source = node->src[position];
  const ggml_tensor* whole = source->view_src != nullptr ? source->view_src : source;
  members_.clear();
  members_.push_back({.id = weight.id, .weight = whole});
  experts_.resize(index_.tensor(weight.id).expert_count);
  for (uint32_t k = 0; k < experts_.size(); ++k) experts_[k] = k;
  HYPURA_CHECK(!experts_.empty());
  begin_staging();
  const Result<const ggml_tensor*> staged = stage(weight.id, *whole);
  if (!staged.ok()) return staged.status();
  use_place(i, position, **staged);
  return runner_.flush(i + 1);
}

// Nodes from `i` on that compute with the same ids need the same experts.
Status GpuWalk::begin_group(int i) {
  ids_ = graph_->nodes[i]->src[2];
  find_members(i);
  layer_ = fills_layer() ? cache_->layer(members_.front().id) : nullptr;
  by_slots_ = may_use_slots();
  if (tap_.wants(graph_->nodes[i])) {
    if (Status status = record_routing(i); !status.ok()) return status;
  }
  const int64_t count = members_.front().weight->ne[2];
  const bool many = ids_->ne[0] * ids_->ne[1] >= kUsesOfAll * count;
  double& used = used_[members_.front().id.value];
  if (used == kUnknown) used = used_last_;
  if (!many || used < kNearlyAll) {
    if (Status status = read_routing(i); !status.ok()) return status;
    if (many) used = used_last_ = static_cast<double>(experts_.size()) / static_cast<double>(count);
  } else {
    experts_.resize(static_cast<size_t>(count));
    for (uint32_t k = 0; k < experts_.size(); ++k) experts_[k] = k;
  }
  bool starved = false;
  if (by_slots_ && unified_.has_value()) {
    if (Status status = lease_slots(&starved); !status.ok() || !starved) return status;
    by_slots_ = false;
  }
  if (by_slots_) return fill_slots();
  if (Status status = runner_.flush(i); !status.ok()) return status;
  begin_staging();
  if (fill_.has_value()) read_ahead(i);
  return Status();
}

// What a batch was to leave in the cache is there if all of its members were staged.
void GpuWalk::end_group() {
  const bool complete = staged_ == members_.size();
  for (const Kept& kept : kept_) layer_->table->finish_load(kept.slot, complete);
  kept_.clear();
  layer_ = nullptr;
  staged_ = 0;
  pins_.clear();
  ids_ = nullptr;
}

void GpuWalk::find_members(int i) {
  members_.clear();
  const int end = std::min(graph_->n_nodes, i + kSiblingNodes);
  for (int k = i; k < end; ++k) {
    const ggml_tensor* node = graph_->nodes[k];
    if (node->op != GGML_OP_MUL_MAT_ID || node->src[2] != ids_) continue;
    const Weight* weight = weight_of(node->src[0]);
    if (weight == nullptr || node->src[0]->view_src != nullptr) continue;
    if (unified_.has_value() && residency_.pinned(weight->id) != nullptr) continue;
    if (member(weight->id) != nullptr) continue;
    Member& added = members_.emplace_back();
    added.id = weight->id;
    added.weight = node->src[0];
  }
}

GpuWalk::Member* GpuWalk::member(TensorId id) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const Member& member) { return member.id == id; });
  return found == members_.end() ? nullptr : &*found;
}

bool GpuWalk::may_use_slots() {
  const size_t choices = static_cast<size_t>(ids_->ne[0]);
  if (ids_->ne[1] != 1 || choices * sizeof(int32_t) > kIdsBytes) return false;
  if (members_.size() > kMembersMax) return false;
  if (unified_.has_value()) return true;
  return layer_ != nullptr && layer_->table->slot_count() >= choices;
}

// Whether the members are all tensors of a layer that is cached: its slots have all or nothing.
bool GpuWalk::fills_layer() {
  const GpuCache::Layer* layer = cache_->layer(members_.front().id);
  return layer != nullptr && layer->tensors.size() == members_.size() &&
         std::all_of(layer->tensors.begin(), layer->tensors.end(),
                     [&](TensorId id) { return member(id) != nullptr; });
}

// Computes all in front of node `i`, among it the router, and waits for it.
Status GpuWalk::read_routing(int i) {
  if (Status status = runner_.flush(i); !status.ok()) return status;
  const size_t choices = static_cast<size_t>(ids_->ne[0]);
  const size_t tokens = static_cast<size_t>(ids_->ne[1]);
  strided_.resize(ggml_nbytes(ids_));
  ggml_backend_tensor_get_async(backend_, ids_, strided_.data(), 0, strided_.size());
  settle();
  routing_.resize(choices * tokens);
  for (size_t token = 0; token < tokens; ++token) {
    std::memcpy(&routing_[token * choices], &strided_[token * ids_->nb[1]],
                choices * sizeof(int32_t));
  }
  const int64_t count = members_.front().weight->ne[2];
  experts_.clear();
  for (const int32_t expert : routing_) {
    if (Status status = check_expert(expert, count); !status.ok()) return status;
    experts_.push_back(static_cast<uint32_t>(expert));
  }
  std::sort(experts_.begin(), experts_.end());
  experts_.erase(std::unique(experts_.begin(), experts_.end()), experts_.end());
  return Status();
}

Status GpuWalk::record_routing(int i) {
  if (Status status = read_routing(i); !status.ok()) return status;
  ggml_tensor ids = *ids_;
  ids.data = routing_.data();
  ids.nb[1] = static_cast<size_t>(ids.ne[0]) * sizeof(int32_t);
  const int layer = index_.tensor(members_.front().id).layer;
  return tap_.record(graph_->nodes[i], &ids, layer < 0 ? 0 : static_cast<uint32_t>(layer));
}

}  // namespace hypura
