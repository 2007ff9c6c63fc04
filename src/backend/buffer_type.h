#pragma once

#include <cstdint>
#include <memory>

#include "ggml-backend-impl.h"

namespace hypura {

class StreamedModel;

// Our buffer type. A mapped buffer stands for weights in a file; an allocated one (adapters,
// control vectors, empty probes) is ordinary host memory. The buffer's own functions tell them
// apart, never its name.
ggml_backend_buffer_type_t streamed_buffer_type();
// Called once, when the device is registered.
void bind_buffer_type(ggml_backend_dev_t device);

// A buffer of `type` whose tensors are placed by `model`, whatever lies at `mapping`. Shares the
// model.
ggml_backend_buffer_t make_mapped_buffer(std::shared_ptr<StreamedModel> model, void* mapping,
                                         size_t size, ggml_backend_buffer_type_t type);

// Size of the allocated buffer in which llama.cpp has put the weight `source`; 0 for all else.
uint64_t allocated_weight_bytes(const ggml_tensor* source);

}  // namespace hypura
