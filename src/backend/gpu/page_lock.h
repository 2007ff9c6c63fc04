#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ggml-backend.h"

namespace hypura {

// Keeps RAM where it is while a GPU reads it: uploads from such pages run at the bus's speed and
// beside other work. Where the driver cannot, nothing happens, and uploads go through its own
// buffers. The memory outlives the lock and may not be given back meanwhile.
class PageLock {
 public:
  PageLock(ggml_backend_dev_t gpu, const std::vector<std::span<std::byte>>& memory);
  ~PageLock();
  PageLock(const PageLock&) = delete;
  PageLock& operator=(const PageLock&) = delete;

  // By its driver's functions; it may still refuse some memory.
  static bool can_lock(ggml_backend_dev_t gpu);
  bool holds() const { return !locked_.empty(); }

 private:
  ggml_backend_dev_t gpu_;
  std::vector<void*> locked_;
};

}  // namespace hypura
