// How a GPU computes one token: with slots, its own or those of RAM.
#include "backend/gpu/walk.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace hypura {

// REQUIRES: the routing is read, so nothing computes with slots.
Status GpuWalk::fill_slots() {
  SlotTable& table = *layer_->table;
  missing_.clear();
  slot_ids_ = nullptr;
  // Ends them however this ends: backends may throw.
  struct Loads {
    SlotTable& table;
    const std::vector<Kept>& slots;
    bool complete = false;
    ~Loads() {
      for (const Kept& one : slots) table.finish_load(one.slot, complete);
    }
  } loads{.table = table, .slots = missing_};
  for (const uint32_t expert : experts_) {
    table.use(SliceId{expert});
    if (const auto slot = table.find(SliceId{expert})) pins_.emplace_back(table, *slot);
  }
  for (const uint32_t expert : experts_) {
    if (table.find(SliceId{expert})) continue;
    const std::optional<SlotId> slot = table.begin_load(SliceId{expert});
    HYPURA_CHECK(slot.has_value());
    pins_.emplace_back(table, *slot);
    missing_.push_back({.expert = expert, .slot = *slot});
  }
  stats_.token_hits += experts_.size() - missing_.size();
  stats_.token_misses += missing_.size();
  stats_.hits += (experts_.size() - missing_.size()) * members_.size();
  Member& first = members_.front();  // the others' slots are the same
  first.slots.clear();
  for (const int32_t expert : routing_) {
    const auto slot = table.find(SliceId{static_cast<uint32_t>(expert)});
    first.slots.push_back(static_cast<int32_t>(slot->value));
  }
  send_slots(first);

  wanted_.clear();
  for (const Member& member : members_) {
    for (const Kept& one : missing_) wanted_.push_back({.tensor = member.id, .expert = one.expert});
  }
  host_.want(wanted_);
  // The last member's slices arrive while the others compute.
  const size_t last = members_.size() == 1 ? 1 : members_.size() - 1;
  Status status = copy_to_slots(0, last * missing_.size());
  queue_.mark_copied(kFirstCopied);
  queue_.compute_after(kFirstCopied, backend_);
  if (status.ok()) status = copy_to_slots(last * missing_.size(), wanted_.size());
  queue_.mark_copied(kLastCopied);
  loads.complete = status.ok();
  return status;
}

Status GpuWalk::copy_to_slots(size_t first, size_t last) {
  const ggml_backend_t copies = queue_.copies(backend_);
  const auto take = [&](size_t begin, size_t count, const std::byte* data) {
    for (size_t k = first + begin; k < first + begin + count; ++k) {
      ggml_tensor slot = cache_->slot(wanted_[k].tensor, missing_[k % missing_.size()].slot);
      const size_t bytes = ggml_nbytes(&slot);
      ggml_backend_tensor_set_async(copies, &slot, data, 0, bytes);
      data += bytes;
      ++stats_.misses;
      stats_.copied_bytes += bytes;
    }
  };
  return host_.fetch(std::span(wanted_).subspan(first, last - first), HostExperts::For::token, take,
                     [this] { queue_.synchronize(backend_); });
}

// In unified memory the slots are those of RAM, where the GPU computes until it is waited for.
// `starved`: there are too few of them.
Status GpuWalk::lease_slots(bool* starved) {
  missing_.clear();
  wanted_.clear();
  for (Member& member : members_) {
    member.slots.assign(static_cast<size_t>(member.weight->ne[2]), -1);  // by expert, for now
    for (const uint32_t expert : experts_) {
      wanted_.push_back({.tensor = member.id, .expert = expert});
    }
  }
  host_.want(wanted_);
  const auto take = [&](size_t first, size_t, const std::byte* data) {
    const ExpertSlice& slice = wanted_[first];
    const PooledTensor pooled = residency_.experts(slice.tensor);
    const auto offset = static_cast<uint64_t>(data - pooled.pool->base(pooled.source));
    member(slice.tensor)->slots[slice.expert] =
        static_cast<int32_t>(offset / pooled.pool->stride());
  };
  const Status status =
      host_.fetch(wanted_, HostExperts::For::token, take, [&] { *starved = true; });
  if (!status.ok() || *starved) return status;
  for (Member& member : members_) {
    std::vector<int32_t> slots;
    for (const int32_t expert : routing_) {
      slots.push_back(member.slots[static_cast<size_t>(expert)]);
    }
    member.slots = std::move(slots);
    send_slots(member);
  }
  return status;
}

void GpuWalk::send_slots(Member& member) {
  const std::vector<int32_t>& slots = sent_.emplace_back(std::move(member.slots));
  ggml_tensor& ids = member.slot_ids;
  ids = *ids_;
  ids.op = GGML_OP_NONE;
  ids.view_src = nullptr;
  ids.view_offs = 0;
  ids.buffer = id_buffer_.get();
  ids.data = static_cast<std::byte*>(ggml_backend_buffer_get_base(id_buffer_.get())) +
             static_cast<size_t>(&member - members_.data()) * kIdsBytes;
  const size_t bytes = slots.size() * sizeof(int32_t);
  ids.nb[1] = ids.nb[2] = ids.nb[3] = bytes;
  ggml_backend_tensor_set_async(backend_, &ids, slots.data(), 0, bytes);
}

Status GpuWalk::use_slots(int i, TensorId tensor) {
  // Also where nothing was missed: CUDA keeps graphs of runs that are the same from token to token.
  if (members_.size() > 1 && tensor == members_.back().id) {
    if (Status status = runner_.flush(i); !status.ok()) return status;
    if (!unified_.has_value()) queue_.compute_after(kLastCopied, backend_);
    slot_ids_ = nullptr;
  }
  ggml_tensor* node = graph_->nodes[i];
  ggml_tensor* shadow = runner_.shadow(node->src[0]);
  if (unified_.has_value()) {
    slot_ids_ = runner_.shadow(&member(tensor)->slot_ids);
    const PooledTensor pooled = residency_.experts(tensor);
    unified_->point(*shadow, pooled.pool->base(pooled.source));
    shadow->ne[2] = pooled.pool->slots_max();
    shadow->nb[2] = pooled.pool->stride();
    shadow->nb[3] = shadow->nb[2] * pooled.pool->slots_max();
  } else {
    // Backends fuse products with the very same ids, and compute these by other kernels.
    if (slot_ids_ == nullptr) slot_ids_ = runner_.shadow(&members_.front().slot_ids);
    cache_->pose(tensor, *shadow);
  }
  runner_.patch(node, 0, shadow);
  runner_.patch(node, 2, slot_ids_);
  return Status();
}

}  // namespace hypura
