#pragma once

#include "ggml-backend.h"

namespace hypura {

// For weights in RAM with which the CPU computes tokens, and `gpu` batches, of copies: locked for
// the GPU's driver, in 2 MiB pages where the system has them. What the driver allocates by itself
// has small ones, of which the CPU has to look up more. Where the driver refuses the lock, or RAM
// does not suffice, it is for the driver to have memory or not; where it locks none, llama.cpp
// chooses. Made once a GPU, and there until the process ends; for any thread.
ggml_backend_buffer_type_t gpu_host_buffer_type(ggml_backend_dev_t gpu);

}  // namespace hypura
