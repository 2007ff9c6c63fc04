#include "backend/buffer_type.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "backend/streamed_model.h"
#include "backend/weight.h"
#include "base/check.h"
#include "ggml-impl.h"

namespace hypura {
namespace {

constexpr size_t kAlignment = 64;

struct MappedBuffer {
  std::shared_ptr<StreamedModel> model;
  void* mapping = nullptr;
};

void allocated_free(ggml_backend_buffer_t buffer) { std::free(buffer->context); }
void* allocated_base(ggml_backend_buffer_t buffer) { return buffer->context; }
void allocated_clear(ggml_backend_buffer_t buffer, uint8_t value) {
  std::memset(buffer->context, value, buffer->size);
}

void memset_tensor(ggml_backend_buffer_t, ggml_tensor* tensor, uint8_t value, size_t offset,
                   size_t size) {
  std::memset(static_cast<std::byte*>(tensor->data) + offset, value, size);
}
void set_tensor(ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, size_t offset,
                size_t size) {
  std::memcpy(static_cast<std::byte*>(tensor->data) + offset, data, size);
}
void get_tensor(ggml_backend_buffer_t, const ggml_tensor* tensor, void* data, size_t offset,
                size_t size) {
  std::memcpy(data, static_cast<const std::byte*>(tensor->data) + offset, size);
}

void mapped_free(ggml_backend_buffer_t buffer) {
  delete static_cast<MappedBuffer*>(buffer->context);
}
void* mapped_base(ggml_backend_buffer_t buffer) {
  return static_cast<MappedBuffer*>(buffer->context)->mapping;
}
ggml_status mapped_init_tensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor) {
  if (tensor->view_src != nullptr) return GGML_STATUS_SUCCESS;
  return static_cast<MappedBuffer*>(buffer->context)->model->place(*tensor)
             ? GGML_STATUS_SUCCESS
             : GGML_STATUS_FAILED;
}
void mapped_get_tensor(ggml_backend_buffer_t, const ggml_tensor* tensor, void* data, size_t offset,
                       size_t size) {
  const Weight* weight = weight_of(tensor);
  HYPURA_CHECK(weight != nullptr);
  weight->model->read_weight(*weight, tensor->view_offs + offset,
                             static_cast<std::byte*>(data), size);
}
// Weights are read-only: whoever writes one would change the model for everybody.
constexpr bool kStreamedWeightsAreWritten = false;
void mapped_memset_tensor(ggml_backend_buffer_t, ggml_tensor*, uint8_t, size_t, size_t) {
  HYPURA_CHECK(kStreamedWeightsAreWritten);
}
void mapped_set_tensor(ggml_backend_buffer_t, ggml_tensor*, const void*, size_t, size_t) {
  HYPURA_CHECK(kStreamedWeightsAreWritten);
}
void mapped_clear(ggml_backend_buffer_t, uint8_t) {}

const char* type_name(ggml_backend_buffer_type_t) { return "Hypura"; }

ggml_backend_buffer_t type_alloc(ggml_backend_buffer_type_t type, size_t size) {
  const size_t bytes = size == 0 ? kAlignment : (size + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) return nullptr;
  const ggml_backend_buffer_i functions{
      .free_buffer = allocated_free,
      .get_base = allocated_base,
      .memset_tensor = memset_tensor,
      .set_tensor = set_tensor,
      .get_tensor = get_tensor,
      .clear = allocated_clear,
  };
  return ggml_backend_buffer_init(type, functions, memory, size);
}

size_t type_alignment(ggml_backend_buffer_type_t) { return kAlignment; }
bool type_is_host(ggml_backend_buffer_type_t) { return true; }

ggml_backend_buffer_type g_buffer_type{
    .iface = {.get_name = type_name,
              .alloc_buffer = type_alloc,
              .get_alignment = type_alignment,
              .is_host = type_is_host},
    .device = nullptr,
    .context = nullptr,
};

}  // namespace

ggml_backend_buffer_type_t streamed_buffer_type() { return &g_buffer_type; }

void bind_buffer_type(ggml_backend_dev_t device) { g_buffer_type.device = device; }

ggml_backend_buffer_t make_mapped_buffer(std::shared_ptr<StreamedModel> model, void* mapping,
                                         size_t size, ggml_backend_buffer_type_t type) {
  const ggml_backend_buffer_i functions{
      .free_buffer = mapped_free,
      .get_base = mapped_base,
      .init_tensor = mapped_init_tensor,
      .memset_tensor = mapped_memset_tensor,
      .set_tensor = mapped_set_tensor,
      .get_tensor = mapped_get_tensor,
      .clear = mapped_clear,
  };
  return ggml_backend_buffer_init(
      type, functions,
      new MappedBuffer{.model = std::move(model), .mapping = mapping}, size);
}

uint64_t allocated_weight_bytes(const ggml_tensor* source) {
  const ggml_backend_buffer_t buffer = source->buffer;
  if (buffer == nullptr || buffer->iface.get_base != allocated_base) return 0;
  return buffer->usage == GGML_BACKEND_BUFFER_USAGE_WEIGHTS ? buffer->size : 0;
}

Weight* weight_of(const ggml_tensor* source) {
  const ggml_tensor* base = source->view_src != nullptr ? source->view_src : source;
  if (base->buffer == nullptr || base->buffer->iface.get_base != mapped_base) return nullptr;
  return static_cast<Weight*>(base->extra);
}

StreamedModel* model_of(const ggml_cgraph* graph) {
  for (int i = 0; i < graph->n_nodes; ++i) {
    for (const ggml_tensor* source : graph->nodes[i]->src) {
      if (source == nullptr) continue;
      if (const Weight* weight = weight_of(source)) return weight->model;
    }
  }
  return nullptr;
}

}  // namespace hypura
