#pragma once

#include "ggml-backend-impl.h"

namespace hypura {

class StreamedModel;

// Our buffer type. A mapped buffer stands for weights in a file; an allocated one (adapters,
// control vectors, empty probes) is ordinary host memory. The buffer's own functions tell them
// apart, never its name.
ggml_backend_buffer_type_t streamed_buffer_type();
// Called once, when the device is registered.
void bind_buffer_type(ggml_backend_dev_t device);

// A buffer whose tensors are placed by `model`, whatever lies at `mapping`.
ggml_backend_buffer_t make_mapped_buffer(StreamedModel& model, void* mapping, size_t size);

}  // namespace hypura
