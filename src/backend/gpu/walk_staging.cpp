// How a GPU computes a batch: with copies of whole tensors.
#include "backend/gpu/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "backend/routing_ids.h"

namespace hypura {
namespace {

// As much as llama.cpp copies behind an expert, for the same reason.
constexpr size_t kReadBehind = 512;
// Of a row, by CUDA's products of many tokens: 256 values, or 512 of four bits.
constexpr int64_t kReadAtOnce = 512;
// Of a copy: Vulkan's backend keeps as much RAM as the largest one took.
constexpr uint64_t kCopyBytesMax = uint64_t{16} << 20;

}  // namespace

void GpuWalk::begin_staging() {
  // Slots may still be filled, or in use, by the graph before.
  if (!std::exchange(staged_before_, true)) settle();
  choose_kept();
  wanted_.clear();
  for (const Member& member : members_) {
    const GpuCache::Layer* layer = cache_->layer(member.id);
    for (const uint32_t expert : experts_) {
      const auto slot = layer == nullptr ? std::nullopt : layer->table->find(SliceId{expert});
      if (slot && layer->table->state(*slot) == SlotState::ready) continue;
      wanted_.push_back({.tensor = member.id, .expert = expert});
    }
  }
  // Who reads ahead asks the drive in the order of use.
  if (fill_.has_value()) {
    host_.count_uses(wanted_);
  } else {
    host_.want(wanted_);
  }
}

// Of the group that begins with node `i`.
void GpuWalk::read_ahead(int i) {
  const int end = std::min(graph_->n_nodes, i + kSiblingNodes);
  const auto streams = [this](const ggml_tensor* node) {
    if (node->op != GGML_OP_MUL_MAT_ID || node->src[2] != ids_) return false;
    const Weight* weight = weight_of(node->src[0]);
    return weight != nullptr && residency_.home(weight->id) == Home::experts;
  };
  while (i < end && !streams(graph_->nodes[i])) ++i;
  if (i == end) return;
  const std::vector<int32_t> experts(experts_.begin(), experts_.end());
  fill_->on_routing(graph_, i, experts);
}

// What the cache has room for stays there.
void GpuWalk::choose_kept() {
  if (layer_ == nullptr) return;
  SlotTable& table = *layer_->table;
  for (const uint32_t expert : experts_) {
    if (!table.has_empty_slot()) return;
    if (table.find(SliceId{expert})) continue;
    kept_.push_back({.expert = expert, .slot = *table.begin_load(SliceId{expert})});
  }
}

Result<const ggml_tensor*> GpuWalk::take_place(TensorId id, const ggml_tensor& weight) {
  const ggml_tensor* place = staging_->take(weight, backend_);
  if (place != nullptr) return place;
  return Status(StatusCode::failed,
                fmt::format("no room on the GPU for {}", index_.tensor(id).name))
      .suggest("--gpu-budget 0");
}

void GpuWalk::upload(const ggml_tensor& place, uint64_t offset, std::span<const std::byte> data) {
  for (uint64_t begin = 0; begin < data.size(); begin += kCopyBytesMax) {
    const uint64_t bytes = std::min<uint64_t>(kCopyBytesMax, data.size() - begin);
    ggml_tensor to = bytes_of(place, offset + begin, bytes);
    ggml_backend_tensor_set_async(queue_.copies(backend_), &to, data.data() + begin, 0, bytes);
    // From pages that are not locked a copy takes its time: the drive may have gone through all
    // that was asked for.
    residency_.reader().pump();
  }
  stats_.copied_bytes += data.size();
}

// A tensor with the group's experts in it. What the cache has comes from there.
Result<const ggml_tensor*> GpuWalk::stage(TensorId id, const ggml_tensor& weight) {
  const ggml_backend_t copies = queue_.copies(backend_);
  if (host_.holds()) {
    queue_.synchronize(backend_);
    host_.release();
  }
  const Result<const ggml_tensor*> taken = take_place(id, weight);
  if (!taken.ok()) return taken;
  const ggml_tensor* place = *taken;
  const uint64_t expert_bytes = index_.tensor(id).expert_bytes();
  const auto part = [&](uint32_t expert) {
    return bytes_of(*place, expert * expert_bytes, expert_bytes);
  };
  const GpuCache::Layer* layer = cache_->layer(id);
  std::vector<Kept> cached;
  wanted_.clear();
  for (const uint32_t expert : experts_) {
    const auto slot = layer == nullptr ? std::nullopt : layer->table->find(SliceId{expert});
    if (!slot || layer->table->state(*slot) != SlotState::ready) {
      wanted_.push_back({.tensor = id, .expert = expert});
    } else {
      cached.push_back({.expert = expert, .slot = *slot});
    }
  }
  const auto take = [&](size_t first, size_t count, const std::byte* data) {
    upload(*place, wanted_[first].expert * expert_bytes, {data, count * expert_bytes});
    stats_.misses += count;
  };
  const auto settle = [this] { queue_.synchronize(backend_); };
  if (Status status = host_.fetch(wanted_, HostExperts::For::batch, take, settle); !status.ok()) {
    return status;
  }
  for (const Kept& kept : kept_) {
    const ggml_tensor from = part(kept.expert);
    ggml_tensor to = cache_->slot(id, kept.slot);
    ggml_backend_tensor_copy_async(copies, copies, &from, &to);
  }
  clear_behind(id, *place);
  staging_->finish(backend_);
  // Beside the copies of what follows.
  for (const Kept& one : cached) {
    const ggml_tensor from = cache_->slot(id, one.slot);
    ggml_tensor to = part(one.expert);
    ggml_backend_tensor_copy_async(backend_, backend_, &from, &to);
  }
  // Some backends know what nodes read and write, and nothing of copies.
  queue_.mark_computed(kCacheCopied, backend_);
  queue_.compute_after(kCacheCopied, backend_);
  stats_.hits += cached.size();
  ++staged_;
  return place;
}

// Kernels read a little past the end of an expert, where what they read counts as nothing, unless
// it is no number. Where its successor was not copied lies what the place had before.
void GpuWalk::clear_behind(TensorId id, const ggml_tensor& place) {
  static constexpr std::array<std::byte, kReadBehind> kZeros{};
  if (place.ne[0] % kReadAtOnce == 0) return;
  const TensorInfo& tensor = index_.tensor(id);
  for (size_t k = 0; k < experts_.size(); ++k) {
    const uint32_t next = experts_[k] + 1;
    if (next == tensor.expert_count || (k + 1 < experts_.size() && experts_[k + 1] == next))
      continue;
    ggml_tensor behind = bytes_of(place, next * tensor.expert_bytes(),
                                  std::min<uint64_t>(kReadBehind, tensor.expert_bytes()));
    ggml_backend_tensor_set_async(queue_.copies(backend_), &behind, kZeros.data(), 0,
                                  ggml_nbytes(&behind));
  }
}

// A dense matrix, from RAM or piece by piece as the ring has it.
Result<const ggml_tensor*> GpuWalk::stage_dense(TensorId id, const ggml_tensor& weight) {
  const Result<const ggml_tensor*> place = take_place(id, weight);
  if (!place.ok()) return place;
  if (const std::byte* pinned = residency_.pinned(id)) {
    upload(**place, 0, {pinned, ggml_nbytes(&weight)});
  } else {
    DenseRing& ring = residency_.ring();
    const uint64_t row_bytes = weight.nb[1];
    for (uint32_t number = 0; number < residency_.piece_count(id); ++number) {
      // Half of the ring reads ahead.
      if (ring.leased() + 1 >= (ring.slots() + 1) / 2) {
        queue_.synchronize(backend_);
        pieces_.clear();
      }
      const Residency::Piece piece = residency_.piece(id, number);
      Result<DenseRing::PieceLease> lease = ring.acquire(piece.index);
      if (!lease.ok()) return lease.status();
      upload(**place, static_cast<uint64_t>(piece.first_row) * row_bytes,
             {lease->data(), static_cast<uint64_t>(piece.rows) * row_bytes});
      pieces_.push_back(*std::move(lease));
    }
  }
  staging_->finish(backend_);
  return place;
}

// From here on source `position` of node `i` is what is in a place of its whole weight.
void GpuWalk::use_place(int i, int position, const ggml_tensor& place) {
  ggml_tensor* node = graph_->nodes[i];
  const ggml_tensor* source = node->src[position];
  ggml_tensor* shadow = runner_.shadow(source);
  shadow->buffer = place.buffer;
  shadow->extra = place.extra;
  shadow->data =
      static_cast<std::byte*>(place.data) + (source->view_src != nullptr ? source->view_offs : 0);
  runner_.patch(node, position, shadow);
}

}  // namespace hypura
