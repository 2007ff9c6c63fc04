#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/gpu/queue.h"
#include "base/status.h"
#include "ggml-cpp.h"
#include "ggml.h"

namespace hypura {

// GPU memory for the tensors that a batch computes with: while the GPU computes with what is in one
// place, the next one is filled.
class GpuStaging {
 public:
  // Errors: failed, without the memory. The queue outlives the staging, and has two events for each
  // place from `first_event` on.
  static Result<std::unique_ptr<GpuStaging>> create(ggml_backend_dev_t gpu, GpuQueue& queue,
                                                    size_t first_event, uint64_t place_bytes,
                                                    uint32_t places);

  // A tensor like `weight` in the next place; nullptr if it has no room. The queue's copies wait
  // for what `compute` was told so far with the place's last content: that must have been told
  // before the place after it was taken.
  ggml_tensor* take(const ggml_tensor& weight, ggml_backend_t compute);
  // `compute` waits for what was copied to the place.
  void finish(ggml_backend_t compute);

 private:
  struct Place {
    ggml_backend_buffer_ptr buffer;
    ggml_tensor tensor{};
    size_t computed = 0;  // events
    size_t filled = 0;
    bool used = false;
  };

  explicit GpuStaging(GpuQueue& queue) : queue_(queue) {}

  GpuQueue& queue_;
  std::vector<Place> places_;
  size_t current_ = 0;
};

}  // namespace hypura
