#include "backend/gpu/unified_memory.h"

#include <fmt/format.h>

#include <utility>

#include "backend/gpu/devices.h"
#include "base/check.h"
#include "base/units.h"

namespace hypura {

Result<UnifiedMemory> UnifiedMemory::wrap(ggml_backend_dev_t gpu,
                                          const std::vector<std::span<std::byte>>& memory) {
  UnifiedMemory unified;
  for (const std::span<std::byte> part : memory) {
    if (part.empty()) continue;
    ggml_backend_buffer_ptr buffer;
    if (takes_our_memory(gpu)) {
      buffer.reset(
          ggml_backend_dev_buffer_from_host_ptr(gpu, part.data(), part.size(), part.size()));
    }
    if (buffer == nullptr) {
      return Status(StatusCode::failed,
                    fmt::format("the GPU cannot compute in {} of RAM", format_bytes(part.size())))
          .suggest("--gpu-budget 0");
    }
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    unified.parts_.push_back({.memory = part, .buffer = std::move(buffer)});
  }
  return unified;
}

void UnifiedMemory::point(ggml_tensor& tensor, const std::byte* data) const {
  for (const Part& part : parts_) {
    if (data < part.memory.data() || data >= part.memory.data() + part.memory.size()) continue;
    tensor.buffer = part.buffer.get();
    tensor.data = static_cast<std::byte*>(ggml_backend_buffer_get_base(part.buffer.get())) +
                  (data - part.memory.data());
    return;
  }
  constexpr bool kPointsIntoTheMemory = false;
  HYPURA_CHECK(kPointsIntoTheMemory);
}

}  // namespace hypura
