#pragma once

#include <atomic>
#include <vector>

#include "machine/profile.h"

namespace hypura {

// The GPUs that ggml was built for and found: their memory as they report it, and bandwidths
// measured with 64 MiB where they have that much free (0 where not). Takes 0.2 s a GPU.
std::vector<GpuProfile> probe_gpus(const std::atomic<bool>* stop = nullptr);

}  // namespace hypura
