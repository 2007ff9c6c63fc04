#pragma once

#include "ggml-backend.h"

namespace hypura {

// A device that takes the GPU's place in llama.cpp: all of it is the GPU's, but that its backends
// also compute with weights that are not in the GPU's memory, those of the buffer type below. A
// copy and no second device beside it, or llama.cpp would split graphs between the two. Made once a
// GPU.
ggml_backend_dev_t gpu_stand_in(ggml_backend_dev_t gpu);

// For weights that the stand-in computes with. Inside a LoadScope they land in its model.
ggml_backend_buffer_type_t gpu_streamed_buffer_type(ggml_backend_dev_t gpu);

}  // namespace hypura
