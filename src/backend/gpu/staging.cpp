#include "backend/gpu/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "backend/gpu/cache.h"
#include "base/units.h"

namespace hypura {
namespace {

constexpr size_t kPaddingMax = 4096;  // that is cleared at a time

}  // namespace

Result<std::unique_ptr<GpuStaging>> GpuStaging::create(ggml_backend_dev_t gpu, GpuQueue& queue,
                                                       size_t first_event, uint64_t place_bytes,
                                                       uint32_t places) {
  std::unique_ptr<GpuStaging> staging(new GpuStaging(queue));
  for (uint32_t i = 0; i < places; ++i) {
    Place& place = staging->places_.emplace_back();
    place.computed = first_event + 2 * i;
    place.filled = place.computed + 1;
    place.buffer.reset(
        ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(gpu), place_bytes));
    if (place.buffer == nullptr) {
      return Status(StatusCode::failed, fmt::format("the GPU cannot allocate {} for weights",
                                                    format_bytes(place_bytes)))
          .suggest("a smaller --gpu-budget");
    }
    // Kernels read a little past the end of an expert: what is there must be numbers.
    ggml_backend_buffer_clear(place.buffer.get(), 0);
    ggml_backend_buffer_set_usage(place.buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  }
  staging->current_ = places - 1;
  return staging;
}

ggml_tensor* GpuStaging::take(const ggml_tensor& weight, ggml_backend_t compute) {
  if (places_[current_].used) queue_.mark_computed(places_[current_].computed, compute);
  current_ = (current_ + 1) % places_.size();
  Place& place = places_[current_];
  if (place.used) queue_.copy_after(place.computed);
  ggml_tensor& tensor = place.tensor;
  tensor = weight;
  tensor.buffer = nullptr;
  tensor.data = nullptr;
  tensor.extra = nullptr;
  const size_t bytes = ggml_backend_buffer_get_alloc_size(place.buffer.get(), &tensor);
  if (bytes > ggml_backend_buffer_get_size(place.buffer.get())) return nullptr;
  place.used = true;
  // Not by ggml_backend_tensor_alloc(), which clears the padding without regard to queues.
  tensor.buffer = place.buffer.get();
  tensor.data = ggml_backend_buffer_get_base(place.buffer.get());
  static constexpr std::array<std::byte, kPaddingMax> kZeros{};
  const uint64_t own = ggml_nbytes(&tensor);
  for (uint64_t begin = own; begin < bytes; begin += kZeros.size()) {
    ggml_tensor padding = bytes_of(tensor, begin, std::min<uint64_t>(bytes - begin, kZeros.size()));
    ggml_backend_tensor_set_async(queue_.copies(compute), &padding, kZeros.data(), 0,
                                  ggml_nbytes(&padding));
  }
  return &tensor;
}

void GpuStaging::finish(ggml_backend_t compute) {
  queue_.mark_copied(places_[current_].filled);
  queue_.compute_after(places_[current_].filled, compute);
}

}  // namespace hypura
