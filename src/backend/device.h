#pragma once

#include <memory>
#include <mutex>

#include "ggml-backend.h"

namespace hypura {

class StreamedModel;

// Registers our device with ggml, once per process. The device is of type ACCEL, so that llama.cpp
// offers it every CPU-side weight before the CPU itself; it takes them only inside a LoadScope, and
// in any other load it stands aside.
void register_device();

// While it lives, weights that this thread loads land in `model`, and llama.cpp's loader neither
// populates nor reads ahead its mapping of the file. One at a time in the process: others wait.
class LoadScope {
 public:
  explicit LoadScope(StreamedModel& model);
  ~LoadScope();
  LoadScope(const LoadScope&) = delete;
  LoadScope& operator=(const LoadScope&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace hypura
