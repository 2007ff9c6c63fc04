#include "backend/gpu/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/units.h"

namespace hypura {
namespace {

// Buffers no larger than this: some GPUs limit them. Many small ones would waste what drivers round
// up.
constexpr size_t kBufferBytes = kGiB;

// The tensor, had it so many experts.
ggml_tensor with_experts(const TensorInfo& info, uint32_t experts) {
  ggml_tensor tensor{};
  tensor.type = static_cast<ggml_type>(info.type);
  for (size_t k = 0; k < GGML_MAX_DIMS; ++k) tensor.ne[k] = info.ne[k];
  tensor.ne[2] = experts;
  tensor.nb[0] = ggml_type_size(tensor.type);
  tensor.nb[1] = ggml_row_size(tensor.type, tensor.ne[0]);
  for (size_t k = 2; k < GGML_MAX_DIMS; ++k) {
    tensor.nb[k] = tensor.nb[k - 1] * static_cast<size_t>(tensor.ne[k - 1]);
  }
  return tensor;
}

}  // namespace

Result<std::unique_ptr<GpuCache>> GpuCache::create(const ModelIndex& index,
                                                   const std::vector<uint32_t>& slots,
                                                   ggml_backend_dev_t gpu) {
  auto cache = std::make_unique<GpuCache>();
  cache->layer_of_.assign(index.tensors().size(), kNone);
  cache->slots_.resize(index.tensors().size());
  std::map<int, size_t> layers;
  for (uint32_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == 0) continue;
    const TensorInfo& info = index.tensor(TensorId{i});
    const auto [found, added] = layers.try_emplace(info.layer, cache->layers_.size());
    if (added) {
      cache->layers_.push_back(
          {.tensors = {},
           .table = std::make_unique<SlotTable>(
               info.expert_count, slots[i], make_use_rate_policy(info.expert_count, slots[i]))});
    }
    cache->layers_[found->second].tensors.push_back(TensorId{i});
    cache->layer_of_[i] = found->second;
    cache->slots_[i] = with_experts(info, slots[i]);
  }
  if (Status status = cache->allocate(index, gpu); !status.ok()) return status;
  return cache;
}

Status GpuCache::allocate(const ModelIndex& index, ggml_backend_dev_t gpu) {
  ggml_backend_buffer_type_t type = ggml_backend_dev_buffer_type(gpu);
  const size_t alignment = ggml_backend_buft_get_alignment(type);
  const size_t bytes_max = std::min(kBufferBytes, ggml_backend_buft_get_max_size(type));
  std::vector<std::pair<uint32_t, size_t>> together;  // tensors, and where in the buffer
  size_t bytes = 0;
  const auto allocate_together = [&] {
    if (together.empty()) return Status();
    ggml_backend_buffer_ptr& buffer = buffers_.emplace_back();
    buffer.reset(ggml_backend_buft_alloc_buffer(type, bytes));
    if (buffer == nullptr) {
      return Status(StatusCode::failed, fmt::format("the GPU cannot allocate {} to cache experts",
                                                    format_bytes(bytes)))
          .suggest("a smaller --gpu-budget");
    }
    // Kernels read a little past the end of a slot: what is there must be numbers.
    ggml_backend_buffer_clear(buffer.get(), 0);
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    std::byte* base = static_cast<std::byte*>(ggml_backend_buffer_get_base(buffer.get()));
    for (const auto& [tensor, offset] : together) {
      ggml_backend_tensor_alloc(buffer.get(), &slots_[tensor], base + offset);
    }
    together.clear();
    bytes = 0;
    return Status();
  };
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    if (layer_of_[i] == kNone) continue;
    const size_t own = GGML_PAD(ggml_backend_buft_get_alloc_size(type, &slots_[i]), alignment);
    if (bytes + own > bytes_max) {
      if (Status status = allocate_together(); !status.ok()) return status;
    }
    together.emplace_back(i, bytes);
    bytes += own;
  }
  return allocate_together();
}

void GpuCache::fill(const std::function<const std::byte*(TensorId)>& weights) {
  for (Layer& layer : layers_) {
    if (!std::all_of(layer.tensors.begin(), layer.tensors.end(), weights)) continue;
    SlotTable& table = *layer.table;
    for (uint32_t expert = 0; table.has_empty_slot(); ++expert) {
      // Empty tables give their slots in order.
      const std::optional<SlotId> slot = table.begin_load(SliceId{expert});
      HYPURA_CHECK(slot == SlotId{expert});
    }
    for (const TensorId id : layer.tensors) {
      ggml_tensor& slots = slots_[id.value];
      ggml_backend_tensor_set(&slots, weights(id), 0, ggml_nbytes(&slots));
    }
    for (uint32_t slot = 0; slot < table.slot_count(); ++slot) {
      table.finish_load(SlotId{slot}, true);
    }
  }
}

GpuCache::Layer* GpuCache::layer(TensorId tensor) {
  const size_t layer = layer_of_[tensor.value];
  return layer == kNone ? nullptr : &layers_[layer];
}

void GpuCache::pose(TensorId tensor, ggml_tensor& shadow) const {
  const ggml_tensor& slots = slots_[tensor.value];
  shadow.data = slots.data;
  shadow.buffer = slots.buffer;
  shadow.ne[2] = slots.ne[2];
  shadow.nb[3] = slots.nb[3];
}

ggml_tensor GpuCache::slot(TensorId tensor, SlotId slot) const {
  const ggml_tensor& slots = slots_[tensor.value];
  return bytes_of(slots, slot.value * slots.nb[2], slots.nb[2]);
}

ggml_tensor bytes_of(const ggml_tensor& tensor, uint64_t offset, uint64_t bytes) {
  ggml_tensor part{};
  part.type = GGML_TYPE_I8;
  part.ne[0] = static_cast<int64_t>(bytes);
  part.ne[1] = part.ne[2] = part.ne[3] = 1;
  part.nb[0] = 1;
  part.nb[1] = part.nb[2] = part.nb[3] = bytes;
  part.buffer = tensor.buffer;
  part.data = static_cast<std::byte*>(tensor.data) + offset;
  return part;
}

}  // namespace hypura
