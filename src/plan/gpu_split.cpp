#include "plan/gpu_split.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

// Fillings that are tried between the least that there is, and all of what the GPUs have.
constexpr int kFillings = 64;

// What lies on GPUs of each of llama.cpp's layers, from the first one that is counted on; the
// output is the last one.
std::vector<GpuPart> layers_of(const ModelIndex& index, const GpuShare& share) {
  const LayerRange range = gpu_layers(index, share);
  std::vector<GpuPart> layers(static_cast<size_t>(range.count()), {.counted = 1});
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    if (!share.on_gpu[i]) continue;
    const TensorInfo& tensor = index.tensor(TensorId{i});
    const int layer = tensor.layer < 0 ? range.end : tensor.layer;
    GpuPart& part = layers[static_cast<size_t>(layer - range.first)];
    part.weight_bytes += tensor.bytes;
    if (tensor.layer < 0) continue;
    part.layers = 1;
    part.kv_bytes = share.kv_bytes / share.layers;
  }
  layers.back().output = true;
  layers.back().weight_bytes += share.copy_bytes;
  return layers;
}

// From the last layer on, each GPU but the first has what fits into `filling` of its bytes.
std::vector<GpuPart> split(std::span<const GpuPart> layers, std::span<const uint64_t> each,
                           double filling) {
  std::vector<GpuPart> parts(each.size());
  size_t gpu = each.size() - 1;
  for (size_t i = layers.size(); i-- > 0;) {
    const auto fits = [&] {
      const uint64_t bytes = parts[gpu].bytes() + layers[i].bytes();
      return static_cast<double>(bytes) <= filling * static_cast<double>(each[gpu]);
    };
    while (gpu > 0 && !fits()) --gpu;
    parts[gpu] += layers[i];
  }
  return parts;
}

}  // namespace

GpuShare choose_split_share(const ModelIndex& index, GpuShareInput input) {
  for (;;) {
    GpuShare share = choose_gpu_share(index, input);
    if (input.each.size() < 2 || share.layers == 0) return share;
    const std::vector<GpuPart> layers = layers_of(index, share);
    uint64_t taken = 0;
    for (const GpuPart& layer : layers) taken += layer.bytes();
    const uint64_t has = std::max(taken, sum(input.each));
    const double least = static_cast<double>(taken) / static_cast<double>(has);
    uint64_t excess = 0;
    for (int i = 0; i <= kFillings; ++i) {
      const double filling = std::pow(least, 1 - static_cast<double>(i) / kFillings);
      share.parts = split(layers, input.each, filling);
      const uint64_t first = share.parts.front().bytes();
      excess = saturating_subtract(first, input.each.front());
      const double room = filling * static_cast<double>(input.each.front());
      const bool even = i == kFillings || static_cast<double>(first) <= room;
      if (excess == 0 && even) return share;
    }
    input.bytes = std::min(input.bytes, taken) - excess;
  }
}

}  // namespace hypura
