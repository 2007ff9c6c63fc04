#include "backend/device.h"

#include <algorithm>
#include <utility>

#include "backend/buffer_type.h"
#include "backend/cpu_backend.h"
#include "backend/streamed_model.h"
#include "backend/weight.h"
#include "base/check.h"
#include "ggml-backend-impl.h"

namespace hypura {
namespace {

std::mutex g_load_mutex;
// Set inside a LoadScope. Other threads load as if we were not there.
thread_local StreamedModel* t_loading = nullptr;
// Set inside a GuestScope.
thread_local GuestScope* t_guests = nullptr;
// Set in a host program, whose loads are all ours.
HostedLoads g_hosted{};

bool is_hosted() { return g_hosted.open != nullptr; }
bool takes_weights() { return is_hosted() || t_loading != nullptr; }

// The CPU backend's own functions, which ours stand in front of.
ggml_status (*g_cpu_graph_compute)(ggml_backend_t, ggml_cgraph*) = nullptr;

ggml_status graph_compute(ggml_backend_t backend, ggml_cgraph* graph) try {
  StreamedModel* model = model_of(graph);
  if (model == nullptr) return g_cpu_graph_compute(backend, graph);
  return model->compute(backend, graph, g_cpu_graph_compute);
} catch (...) {
  return GGML_STATUS_ALLOC_FAILED;
}

// Size of the first buffer of weights that the host did not map; 0 if there is none.
uint64_t unmapped_weight_bytes(const ggml_cgraph* graph) {
  for (int i = 0; i < graph->n_nodes; ++i) {
    for (const ggml_tensor* source : graph->nodes[i]->src) {
      if (source == nullptr) continue;
      if (const uint64_t bytes = allocated_weight_bytes(source); bytes > 0) return bytes;
    }
  }
  return 0;
}

// Not an optimisation: the one place where a backend sees graphs before they are computed.
void graph_optimize(ggml_backend_t, ggml_cgraph* graph, ggml_backend_graph_optimize_params*) {
  if (StreamedModel* model = model_of(graph)) {
    return model->take_census(graph, StreamedModel::Computes::cpu);
  }
  if (t_guests != nullptr) t_guests->note(graph);
  if (!is_hosted()) return;
  if (const uint64_t bytes = unmapped_weight_bytes(graph); bytes > 0) g_hosted.not_mapped(bytes);
}

const char* device_name(ggml_backend_dev_t) { return "Hypura"; }
const char* device_description(ggml_backend_dev_t) { return "weights streamed from storage"; }
void device_memory(ggml_backend_dev_t, size_t* free, size_t* total) { *free = *total = 0; }
enum ggml_backend_dev_type device_type(ggml_backend_dev_t) {
  return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

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
  if (t_guests != nullptr) t_guests->lend_threads(backend);
  return backend;
}

ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t) {
  return takes_weights() ? streamed_buffer_type() : ggml_backend_cpu_buffer_type();
}

ggml_backend_buffer_t device_map(ggml_backend_dev_t, void* mapping, size_t size, size_t) try {
  // Inside a LoadScope the model is the engine's, which outlives the buffer.
  std::shared_ptr<StreamedModel> model =
      is_hosted() ? g_hosted.open(mapping)
                  : std::shared_ptr<StreamedModel>(std::shared_ptr<void>(), t_loading);
  return model == nullptr ? nullptr : make_mapped_buffer(std::move(model), mapping, size,
                                                          streamed_buffer_type());
} catch (...) {
  return nullptr;
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

}  // namespace

void register_device() {
  static const bool registered = [] {
    bind_buffer_type(&g_device);
    ggml_backend_register(&g_registry);
    return true;
  }();
  HYPURA_CHECK(registered);
}

StreamedModel* model_loading() { return t_loading; }

LoadScope::LoadScope(StreamedModel& model) : lock_(g_load_mutex) {
  t_loading = &model;
  hook_cpu_registry([] { return t_loading != nullptr; });
}

LoadScope::~LoadScope() {
  unhook_cpu_registry();
  t_loading = nullptr;
}

GuestScope::GuestScope(StreamedModel& model) : model_(model) {
  HYPURA_CHECK(t_guests == nullptr);
  t_guests = this;
}

GuestScope::~GuestScope() { t_guests = nullptr; }

void GuestScope::lend_threads(ggml_backend_t backend) { model_.lend_threads(backend); }

void GuestScope::note(const ggml_cgraph* graph) {
  work_bytes_ = std::max(work_bytes_, model_.work_bytes(graph));
}

ggml_backend_reg_t hosted_registry(const HostedLoads& loads) {
  HYPURA_CHECK(!is_hosted());
  g_hosted = loads;
  bind_buffer_type(&g_device);
  hook_cpu_registry([] { return true; });
  return &g_registry;
}

}  // namespace hypura
