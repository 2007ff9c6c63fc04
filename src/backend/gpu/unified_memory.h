#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/status.h"
#include "ggml-cpp.h"
#include "ggml.h"

namespace hypura {

// RAM that a GPU computes in, as it shares it: wrapped once, so that what is read from a drive is
// where the GPU needs it.
class UnifiedMemory {
 public:
  // Errors: failed, where the GPU cannot. The memory outlives this.
  static Result<UnifiedMemory> wrap(ggml_backend_dev_t gpu,
                                    const std::vector<std::span<std::byte>>& memory);

  // Lets a tensor lie at `data`, for the GPU. REQUIRES: within the memory.
  void point(ggml_tensor& tensor, const std::byte* data) const;

 private:
  struct Part {
    std::span<std::byte> memory;
    ggml_backend_buffer_ptr buffer;
  };

  std::vector<Part> parts_;
};

}  // namespace hypura
