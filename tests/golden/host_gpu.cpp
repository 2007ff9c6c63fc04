#include "golden/host_gpu.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <stdexcept>

#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

namespace hypura::golden {
namespace {

uint64_t g_free_bytes = 0;
uint64_t g_real_bytes = 0;
HostGpuKind g_kind = HostGpuKind::discrete;
size_t g_count = 1;
std::atomic<uint64_t> g_graphs = 0;
std::atomic<uint64_t> g_shown_bytes = 0;
uint64_t g_graphs_until_broken = 0;  // 0: never
uint64_t g_copies_until_broken = 0;
bool g_locks = true;
std::map<void*, size_t> g_locked;

void (*g_cpu_free)(ggml_backend_buffer_t) = nullptr;
ggml_status (*g_cpu_compute)(ggml_backend_t, ggml_cgraph*) = nullptr;

ggml_backend_dev_t cpu() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU); }

struct HostGpu {
  const char* name = nullptr;  // llama.cpp tells buffer types apart by their names
  ggml_backend_device device{};
  ggml_backend_buffer_type type{};
  std::atomic<uint64_t> bytes = 0;
};
std::array<HostGpu, 2> g_gpus;
HostGpu& of(ggml_backend_dev_t device) { return *static_cast<HostGpu*>(device->context); }

void free_buffer(ggml_backend_buffer_t buffer) {
  of(buffer->buft->device).bytes -= buffer->size;
  g_cpu_free(buffer);
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
  HostGpu& gpu = of(type->device);
  if (gpu.bytes + size > g_real_bytes) {
    ggml_log_callback log = nullptr;
    void* user_data = nullptr;
    ggml_log_get(&log, &user_data);
    log(GGML_LOG_LEVEL_ERROR, "host_gpu: allocation failed: out of memory\n", user_data);
    return nullptr;
  }
  ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
  if (buffer == nullptr) return nullptr;
  g_cpu_free = buffer->iface.free_buffer;
  buffer->iface.free_buffer = free_buffer;
  buffer->buft = type;
  gpu.bytes += buffer->size;
  return buffer;
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
  ++g_graphs;
  if (g_graphs_until_broken > 0 && --g_graphs_until_broken == 0) {
    throw std::runtime_error("ErrorOutOfDeviceMemory");
  }
  return g_cpu_compute(backend, graph);
}

void set_tensor_async(ggml_backend_t, ggml_tensor* tensor, const void* data, size_t offset,
                      size_t size) {
  const bool weight =
      ggml_backend_buffer_get_usage(tensor->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
  if (weight && g_copies_until_broken > 0 && --g_copies_until_broken == 0) {
    throw std::runtime_error("ErrorOutOfDeviceMemory");
  }
  ggml_backend_tensor_set(tensor, data, offset, size);
}

const char* name(ggml_backend_dev_t device) { return of(device).name; }
const char* type_name(ggml_backend_buffer_type_t type) { return name(type->device); }
const char* description(ggml_backend_dev_t) { return "a GPU that the CPU plays"; }
void memory(ggml_backend_dev_t, size_t* free, size_t* total) { *free = *total = g_free_bytes; }
enum ggml_backend_dev_type type(ggml_backend_dev_t) {
  const bool has_ram = g_kind == HostGpuKind::unified || g_kind == HostGpuKind::integrated;
  return has_ram ? GGML_BACKEND_DEVICE_TYPE_IGPU : GGML_BACKEND_DEVICE_TYPE_GPU;
}
// The CPU has done what it was told: there is nothing to wait for.
bool has_events() { return g_kind != HostGpuKind::eventless; }
ggml_backend_event_t new_event(ggml_backend_dev_t device) {
  return new ggml_backend_event{.device = device, .context = nullptr};
}
void free_event(ggml_backend_dev_t, ggml_backend_event_t event) { delete event; }
void await_event(ggml_backend_dev_t, ggml_backend_event_t) {}
void order(ggml_backend_t, ggml_backend_event_t) {}
void properties(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  *props = {};
  props->name = name(device);
  props->description = description(device);
  props->type = type(device);
  memory(device, &props->memory_free, &props->memory_total);
  props->caps.buffer_from_host_ptr = g_kind == HostGpuKind::unified;
  props->caps.events = has_events();
  props->caps.host_buffer = g_kind != HostGpuKind::eventless;
}
ggml_backend_t init(ggml_backend_dev_t device, const char*) {
  ggml_backend_t backend = ggml_backend_dev_init(cpu(), nullptr);
  g_cpu_compute = backend->iface.graph_compute;
  backend->iface.graph_compute = compute;
  backend->iface.set_tensor_async = set_tensor_async;
  backend->iface.graph_plan_create = nullptr;
  if (has_events()) backend->iface.event_record = backend->iface.event_wait = order;
  backend->device = device;
  return backend;
}
ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t device) {
  return &of(device).type;
}
ggml_backend_buffer_t show(ggml_backend_dev_t device, void* memory, size_t size, size_t) {
  ggml_backend_buffer_t buffer = ggml_backend_cpu_buffer_from_ptr(memory, size);
  buffer->buft = &of(device).type;
  g_shown_bytes += size;
  return buffer;
}
bool supports_op(ggml_backend_dev_t, const ggml_tensor* op) {
  return ggml_backend_dev_supports_op(cpu(), op);
}
bool supports_buffer(ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
  return type == &of(device).type;
}

const char* registry_name(ggml_backend_reg_t) { return "HostGPU"; }
size_t device_count(ggml_backend_reg_t) { return g_count; }
ggml_backend_dev_t device_at(ggml_backend_reg_t, size_t index) { return &g_gpus[index].device; }
bool lock(void* memory, size_t size) {
  if (g_locks) g_locked.emplace(memory, size);
  return g_locks;
}
void unlock(void* memory) { g_locked.erase(memory); }
void* function(ggml_backend_reg_t, const char* name) {
  const bool locks = g_kind != HostGpuKind::eventless;
  if (locks && std::strcmp(name, "ggml_backend_register_host_buffer") == 0) {
    return reinterpret_cast<void*>(lock);
  }
  if (locks && std::strcmp(name, "ggml_backend_unregister_host_buffer") == 0) {
    return reinterpret_cast<void*>(unlock);
  }
  return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu()), name);
}

ggml_backend_reg_t registry() {
  static ggml_backend_reg registry{.api_version = GGML_BACKEND_API_VERSION,
                                   .iface = {.get_name = registry_name,
                                             .get_device_count = device_count,
                                             .get_device = device_at,
                                             .get_proc_address = function},
                                   .context = nullptr};
  return &registry;
}

void make(HostGpu& gpu) {
  gpu.device = {.iface = {.get_name = name,
                          .get_description = description,
                          .get_memory = memory,
                          .get_type = type,
                          .get_props = properties,
                          .init_backend = init,
                          .get_buffer_type = device_buffer_type,
                          .buffer_from_host_ptr = g_kind == HostGpuKind::unified ? show : nullptr,
                          .supports_op = supports_op,
                          .supports_buft = supports_buffer,
                          .event_new = has_events() ? new_event : nullptr,
                          .event_free = free_event,
                          .event_synchronize = await_event},
                .reg = registry(),
                .context = &gpu};
  gpu.type = {.iface = {.get_name = type_name,
                        .alloc_buffer = allocate,
                        .get_alignment = [](ggml_backend_buffer_type_t) -> size_t { return 64; }},
              .device = &gpu.device,
              .context = nullptr};
}

}  // namespace

void register_host_gpu(uint64_t free_bytes, uint64_t real_bytes, HostGpuKind kind) {
  g_kind = kind;
  g_count = kind == HostGpuKind::two ? 2 : 1;
  g_gpus[0].name = "HostGPU0";
  g_gpus[1].name = "HostGPU1";
  for (HostGpu& gpu : g_gpus) make(gpu);
  g_free_bytes = free_bytes;
  g_real_bytes = real_bytes;
  ggml_backend_register(registry());
}

void limit_host_gpu(uint64_t real_bytes) { g_real_bytes = real_bytes; }
void break_host_gpu(uint64_t graphs) { g_graphs_until_broken = graphs; }
void break_host_gpu_copies(uint64_t copies) { g_copies_until_broken = copies; }

void let_host_gpu_lock(bool allowed) { g_locks = allowed; }

uint64_t host_gpu_bytes() { return host_gpu_bytes(0) + host_gpu_bytes(1); }
uint64_t host_gpu_bytes(size_t gpu) { return g_gpus[gpu].bytes; }
uint64_t host_gpu_locked_bytes() {
  uint64_t bytes = 0;
  for (const auto& [memory, size] : g_locked) bytes += size;
  return bytes;
}
uint64_t host_gpu_shown_bytes() { return g_shown_bytes; }
uint64_t host_gpu_graphs() { return g_graphs; }

}  // namespace hypura::golden
