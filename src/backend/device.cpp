#include "backend/device.h"

#include <cstring>

#include "backend/buffer_type.h"
#include "backend/streamed_model.h"
#include "backend/weight.h"
#include "base/check.h"
#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

namespace hypura {
namespace {

std::mutex g_load_mutex;
// Set inside a LoadScope. Other threads load as if we were not there.
thread_local StreamedModel* t_loading = nullptr;

// The CPU backend's own functions, which ours stand in front of.
ggml_status (*g_cpu_graph_compute)(ggml_backend_t, ggml_cgraph*) = nullptr;

ggml_backend_dev_t cpu_device() {
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

// The streamed model whose weights a graph uses, or nullptr.
StreamedModel* model_of(const ggml_cgraph* graph) {
  for (int i = 0; i < graph->n_nodes; ++i) {
    for (const ggml_tensor* source : graph->nodes[i]->src) {
      if (source == nullptr) continue;
      if (const Weight* weight = weight_of(source)) return weight->model;
    }
  }
  return nullptr;
}

ggml_status graph_compute(ggml_backend_t backend, ggml_cgraph* graph) try {
  StreamedModel* model = model_of(graph);
  if (model == nullptr) return g_cpu_graph_compute(backend, graph);
  return model->compute(backend, graph, g_cpu_graph_compute);
} catch (...) {
  return GGML_STATUS_ALLOC_FAILED;
}

// Not an optimisation: the one place where a backend sees graphs before they are computed.
void graph_optimize(ggml_backend_t, ggml_cgraph* graph, ggml_backend_graph_optimize_params*) {
  if (StreamedModel* model = model_of(graph)) model->take_census(graph);
}

const char* device_name(ggml_backend_dev_t) { return "Hypura"; }
const char* device_description(ggml_backend_dev_t) { return "weights streamed from storage"; }
void device_memory(ggml_backend_dev_t, size_t* free, size_t* total) { *free = *total = 0; }
enum ggml_backend_dev_type device_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_ACCEL; }

void device_props(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  *props = {};
  props->name = device_name(device);
  props->description = device_description(device);
  props->type = device_type(device);
  props->caps.buffer_from_host_ptr = true;
  props->caps.mmap_support = true;
}

// A CPU backend with two functions replaced. It keeps the CPU as its device, or llama.cpp would
// switch flash attention and fused operators off.
ggml_backend_t device_init(ggml_backend_dev_t, const char*) {
  ggml_backend_t backend = ggml_backend_dev_init(cpu_device(), nullptr);
  if (backend == nullptr) return nullptr;
  g_cpu_graph_compute = backend->iface.graph_compute;
  backend->iface.graph_compute = graph_compute;
  backend->iface.graph_optimize = graph_optimize;
  backend->iface.graph_plan_create = nullptr;
  return backend;
}

ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t) {
  return t_loading != nullptr ? streamed_buffer_type() : ggml_backend_cpu_buffer_type();
}

ggml_backend_buffer_t device_map(ggml_backend_dev_t, void* mapping, size_t size, size_t) {
  return t_loading == nullptr ? nullptr : make_mapped_buffer(*t_loading, mapping, size);
}

bool device_supports_op(ggml_backend_dev_t, const ggml_tensor* op) {
  return ggml_backend_dev_supports_op(cpu_device(), op);
}
bool device_supports_buffer(ggml_backend_dev_t, ggml_backend_buffer_type_t type) {
  return type == streamed_buffer_type() || ggml_backend_dev_supports_buft(cpu_device(), type);
}

const char* registry_name(ggml_backend_reg_t) { return "Hypura"; }
size_t registry_count(ggml_backend_reg_t) { return 1; }
ggml_backend_dev_t registry_device(ggml_backend_reg_t, size_t);
void* registry_function(ggml_backend_reg_t, const char* name) {
  return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu_device()), name);
}

ggml_backend_reg g_registry{
    .api_version = GGML_BACKEND_API_VERSION,
    .iface = {.get_name = registry_name,
              .get_device_count = registry_count,
              .get_device = registry_device,
              .get_proc_address = registry_function},
    .context = nullptr,
};

ggml_backend_device g_device{
    .iface = {.get_name = device_name,
              .get_description = device_description,
              .get_memory = device_memory,
              .get_type = device_type,
              .get_props = device_props,
              .init_backend = device_init,
              .get_buffer_type = device_buffer_type,
              .buffer_from_host_ptr = device_map,
              .supports_op = device_supports_op,
              .supports_buft = device_supports_buffer},
    .reg = &g_registry,
    .context = nullptr,
};

ggml_backend_dev_t registry_device(ggml_backend_reg_t, size_t) { return &g_device; }

// The loader asks the CPU registry whether memory is NUMA, and maps without reading if so.
using ProcAddress = void* (*)(ggml_backend_reg_t, const char*);
ProcAddress g_cpu_proc_address = nullptr;
bool always_numa() { return true; }
void* hooked_proc_address(ggml_backend_reg_t registry, const char* name) {
  if (t_loading != nullptr && std::strcmp(name, "ggml_backend_cpu_is_numa") == 0) {
    return reinterpret_cast<void*>(always_numa);
  }
  return g_cpu_proc_address(registry, name);
}

}  // namespace

void register_device() {
  static const bool registered = [] {
    bind_buffer_type(&g_device);
    ggml_backend_register(&g_registry);
    return true;
  }();
  HYPURA_CHECK(registered);
}

LoadScope::LoadScope(StreamedModel& model) : lock_(g_load_mutex) {
  t_loading = &model;
  ggml_backend_reg_t cpu = ggml_backend_dev_backend_reg(cpu_device());
  g_cpu_proc_address = cpu->iface.get_proc_address;
  cpu->iface.get_proc_address = hooked_proc_address;
}

LoadScope::~LoadScope() {
  ggml_backend_dev_backend_reg(cpu_device())->iface.get_proc_address = g_cpu_proc_address;
  t_loading = nullptr;
}

}  // namespace hypura
