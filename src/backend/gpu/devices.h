#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ggml-backend.h"

namespace hypura {

// A GPU that ggml was built for and found.
struct GpuDevice {
  ggml_backend_dev_t device = nullptr;
  std::string name;
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};

// Ask the driver, which may take a second the first time.
std::vector<GpuDevice> discrete_gpus();
// The first one that computes in the machine's RAM.
std::optional<GpuDevice> unified_gpu();

bool is_gpu(ggml_backend_dev_t device);
// The GPU computes in the machine's RAM.
bool is_unified(ggml_backend_dev_t device);
// It can be shown memory of ours there. CUDA's integrated GPUs cannot.
bool takes_our_memory(ggml_backend_dev_t device);

}  // namespace hypura
