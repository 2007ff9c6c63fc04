#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "machine/profile.h"

namespace hypura {

// Gigabytes a second from RAM, pinned where the device has a buffer type for that, to its memory:
// median of copies of 64 MiB. 0 where it cannot be measured.
double upload_gbps(ggml_backend_dev_t device);

// The GPUs that ggml was built for and found. Takes none of their memory.
std::vector<std::string> gpu_names();

// The same GPUs: their memory as they report it, and bandwidths measured with 64 MiB where they
// have that much free (0 where not). Takes 0.2 s a GPU.
std::vector<GpuProfile> probe_gpus(const std::atomic<bool>* stop = nullptr);

}  // namespace hypura
