#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "ggml-backend.h"

namespace hypura {

class StreamedModel;

// Registers our device with ggml, once per process. The device is of type ACCEL, so that llama.cpp
// offers it every CPU-side weight before the CPU itself; it takes them only inside a LoadScope, and
// in any other load it stands aside. Without effect where a host program has the device.
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

// The model of this thread's LoadScope, or nullptr.
StreamedModel* model_loading();

// While it lives, contexts of other models that this thread creates compute with the threads of
// `model`, a draft model's for one: a second pool of spinning threads would take the CPU from the
// first. Such contexts end before `model`. One at a time in a thread.
class GuestScope {
 public:
  explicit GuestScope(StreamedModel& model);
  ~GuestScope();
  GuestScope(const GuestScope&) = delete;
  GuestScope& operator=(const GuestScope&) = delete;

  // The largest CPU work buffer of the graphs that these contexts were built with.
  uint64_t work_bytes() const { return work_bytes_; }

  void lend_threads(ggml_backend_t backend);
  void note(const ggml_cgraph* graph);

 private:
  StreamedModel& model_;
  uint64_t work_bytes_ = 0;
};

// What our device asks of a plug-in in a host program. Called from any thread.
struct HostedLoads {
  // The model whose weights the host has mapped at `mapping`; nullptr refuses the load.
  std::shared_ptr<StreamedModel> (*open)(const void* mapping);
  // A graph uses weights that the host has read into `bytes` of memory instead of mapping them.
  void (*not_mapped)(uint64_t bytes);
};

// The registry with our device, for ggml of a host program to register: the device takes the
// CPU-side weights of every load. Once per process, in place of register_device and LoadScope.
ggml_backend_reg_t hosted_registry(const HostedLoads& loads);

}  // namespace hypura
