#include "backend/gpu/stand_in.h"

#include <memory>
#include <mutex>
#include <vector>

#include "backend/buffer_type.h"
#include "backend/device.h"
#include "backend/streamed_model.h"
#include "backend/weight.h"
#include "ggml-backend-impl.h"

namespace hypura {
namespace {

// ggml passes pointers to its first members back to us.
struct StandIn {
  ggml_backend_device device{};   // in the GPU's place
  ggml_backend_device weights{};  // only llama.cpp's loader meets it, as the buffer type's
  ggml_backend_buffer_type buffer_type{};
  ggml_backend_dev_t gpu = nullptr;
  // The GPU backend's own functions, which ours stand in front of.
  ggml_status (*compute)(ggml_backend_t, ggml_cgraph*) = nullptr;
  void (*optimize)(ggml_backend_t, ggml_cgraph*, ggml_backend_graph_optimize_params*) = nullptr;
};

StandIn& of(ggml_backend_dev_t device) { return *reinterpret_cast<StandIn*>(device); }
StandIn& of_weights(ggml_backend_dev_t device) { return *static_cast<StandIn*>(device->context); }
StandIn& of_type(ggml_backend_buffer_type_t type) { return *static_cast<StandIn*>(type->context); }

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) try {
  StreamedModel* model = model_of(graph);
  const GraphCompute gpu_compute = of(backend->device).compute;
  if (model == nullptr) return gpu_compute(backend, graph);
  return model->compute_on_gpu(backend, graph, gpu_compute);
} catch (...) {
  return GGML_STATUS_ALLOC_FAILED;
}

void optimize(ggml_backend_t backend, ggml_cgraph* graph,
              ggml_backend_graph_optimize_params* params) {
  if (StreamedModel* model = model_of(graph)) {
    model->take_census(graph, StreamedModel::Computes::gpu);
  }
  if (const auto gpu_optimize = of(backend->device).optimize) gpu_optimize(backend, graph, params);
}

ggml_backend_t init_backend(ggml_backend_dev_t device, const char* params) {
  StandIn& stand_in = of(device);
  ggml_backend_t backend = ggml_backend_dev_init(stand_in.gpu, params);
  if (backend == nullptr) return nullptr;
  stand_in.compute = backend->iface.graph_compute;
  stand_in.optimize = backend->iface.graph_optimize;
  backend->iface.graph_compute = compute;
  backend->iface.graph_optimize = optimize;
  backend->device = device;
  return backend;
}

ggml_backend_buffer_type_t default_type(ggml_backend_dev_t device) {
  return ggml_backend_dev_buffer_type(of(device).gpu);
}
ggml_backend_buffer_type_t host_type(ggml_backend_dev_t device) {
  return ggml_backend_dev_host_buffer_type(of(device).gpu);
}
ggml_backend_buffer_t from_host(ggml_backend_dev_t device, void* memory, size_t size,
                                size_t tensor_max) {
  return ggml_backend_dev_buffer_from_host_ptr(of(device).gpu, memory, size, tensor_max);
}
bool supports_op(ggml_backend_dev_t device, const ggml_tensor* op) {
  return ggml_backend_dev_supports_op(of(device).gpu, op);
}
bool supports_buffer(ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
  return type == &of(device).buffer_type || ggml_backend_dev_supports_buft(of(device).gpu, type);
}
bool offload_op(ggml_backend_dev_t device, const ggml_tensor* op) {
  return ggml_backend_dev_offload_op(of(device).gpu, op);
}
ggml_backend_event_t event_new(ggml_backend_dev_t device) {
  return ggml_backend_event_new(of(device).gpu);
}

const char* weights_name(ggml_backend_dev_t) { return "HypuraGPU"; }
const char* weights_description(ggml_backend_dev_t) { return "weights streamed to a GPU"; }
void weights_memory(ggml_backend_dev_t, size_t* free, size_t* total) { *free = *total = 0; }
enum ggml_backend_dev_type weights_kind(ggml_backend_dev_t) {
  return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}
void weights_props(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  *props = {};
  props->name = weights_name(device);
  props->description = weights_description(device);
  props->type = weights_kind(device);
  props->caps.buffer_from_host_ptr = true;
  props->caps.mmap_support = true;
}
ggml_backend_buffer_type_t weights_type(ggml_backend_dev_t device) {
  return &of_weights(device).buffer_type;
}
ggml_backend_buffer_t weights_map(ggml_backend_dev_t device, void* mapping, size_t size,
                                  size_t) try {
  StreamedModel* model = model_loading();
  if (model == nullptr) return nullptr;
  // The model is the engine's, which outlives the buffer.
  return make_mapped_buffer(std::shared_ptr<StreamedModel>(std::shared_ptr<void>(), model), mapping,
                            size, &of_weights(device).buffer_type);
} catch (...) {
  return nullptr;
}

const char* type_name(ggml_backend_buffer_type_t) { return "HypuraGPU"; }
// Of adapters and the like: ordinary memory of the GPU.
ggml_backend_buffer_t type_alloc(ggml_backend_buffer_type_t type, size_t size) {
  return ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(of_type(type).gpu), size);
}
size_t type_alignment(ggml_backend_buffer_type_t type) {
  return ggml_backend_buft_get_alignment(ggml_backend_dev_buffer_type(of_type(type).gpu));
}

std::unique_ptr<StandIn> make(ggml_backend_dev_t gpu) {
  auto stand_in = std::make_unique<StandIn>();
  stand_in->gpu = gpu;
  stand_in->device = *gpu;
  ggml_backend_device_i& device = stand_in->device.iface;
  device.init_backend = init_backend;
  device.get_buffer_type = default_type;
  device.supports_op = supports_op;
  device.supports_buft = supports_buffer;
  if (device.get_host_buffer_type != nullptr) device.get_host_buffer_type = host_type;
  if (device.buffer_from_host_ptr != nullptr) device.buffer_from_host_ptr = from_host;
  if (device.offload_op != nullptr) device.offload_op = offload_op;
  if (device.event_new != nullptr) device.event_new = event_new;
  stand_in->weights = {.iface = {.get_name = weights_name,
                                 .get_description = weights_description,
                                 .get_memory = weights_memory,
                                 .get_type = weights_kind,
                                 .get_props = weights_props,
                                 .get_buffer_type = weights_type,
                                 .buffer_from_host_ptr = weights_map,
                                 .supports_op = supports_op,
                                 .supports_buft = supports_buffer},
                       .reg = gpu->reg,
                       .context = stand_in.get()};
  stand_in->buffer_type = {
      .iface = {.get_name = type_name, .alloc_buffer = type_alloc, .get_alignment = type_alignment},
      .device = &stand_in->weights,
      .context = stand_in.get()};
  return stand_in;
}

// Devices live as long as the process, and so do those that stand in for them.
StandIn& stand_in_for(ggml_backend_dev_t gpu) {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<StandIn>> all;
  const std::lock_guard lock(mutex);
  for (const auto& one : all) {
    if (one->gpu == gpu) return *one;
  }
  return *all.emplace_back(make(gpu));
}

}  // namespace

ggml_backend_dev_t gpu_stand_in(ggml_backend_dev_t gpu) { return &stand_in_for(gpu).device; }

ggml_backend_buffer_type_t gpu_streamed_buffer_type(ggml_backend_dev_t gpu) {
  return &stand_in_for(gpu).buffer_type;
}

}  // namespace hypura
