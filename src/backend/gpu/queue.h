#pragma once

#include <vector>

#include "ggml-cpp.h"

namespace hypura {

// Copies to a GPU's memory beside what its backend computes, and the order between the two. Where
// the GPU has no events, copies are told to the computing backend itself and take their turn.
class GpuQueue {
 public:
  // One event for each thing to be waited for at a time.
  GpuQueue(ggml_backend_dev_t gpu, size_t events);
  ~GpuQueue();

  // Who copies.
  ggml_backend_t copies(ggml_backend_t compute) const {
    return queue_ == nullptr ? compute : queue_.get();
  }
  // Marks what one of the two was told so far, for the other to wait for.
  void mark_computed(size_t event, ggml_backend_t compute);
  void copy_after(size_t event);
  void mark_copied(size_t event);
  void compute_after(size_t event, ggml_backend_t compute);
  // Blocks until nothing is copied any more.
  void synchronize(ggml_backend_t compute) const { ggml_backend_synchronize(copies(compute)); }
  // Vulkan keeps an object for every mark until somebody waits for the event. REQUIRES: nothing is
  // computed or copied.
  void recycle();

 private:
  ggml_backend_ptr queue_;
  std::vector<ggml_backend_event_ptr> events_;
};

}  // namespace hypura
