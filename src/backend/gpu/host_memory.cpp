#include "backend/gpu/host_memory.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/gpu/page_lock.h"
#include "ggml-backend-impl.h"
#include "ggml-cpu.h"
#include "residency/arena.h"

namespace hypura {
namespace {

struct HostMemory {
  HostMemory(ggml_backend_dev_t gpu, Arena memory)
      : arena(std::move(memory)), lock(gpu, std::vector{arena.memory()}) {}

  Arena arena;
  PageLock lock;
};

struct HostType {
  ggml_backend_buffer_type type{};
  ggml_backend_dev_t gpu = nullptr;
  std::mutex mutex;
  std::map<void*, std::unique_ptr<HostMemory>> memory;  // by the buffers' addresses
};

HostType& of(ggml_backend_buffer_type_t type) { return *static_cast<HostType*>(type->context); }

void free_buffer(ggml_backend_buffer_t buffer) {
  HostType& type = of(buffer->buft);
  const std::lock_guard guard(type.mutex);
  type.memory.erase(ggml_backend_buffer_get_base(buffer));
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
  HostType& host = of(type);
  Result<Arena> arena = Arena::create(size);
  if (!arena.ok()) return nullptr;
  auto memory = std::make_unique<HostMemory>(host.gpu, *std::move(arena));
  if (!memory->lock.holds()) {
    memory.reset();
    ggml_backend_buffer_type_t other = ggml_backend_dev_host_buffer_type(host.gpu);
    if (other == nullptr) other = ggml_backend_cpu_buffer_type();
    return ggml_backend_buft_alloc_buffer(other, size);
  }
  ggml_backend_buffer_t buffer = ggml_backend_cpu_buffer_from_ptr(memory->arena.data(), size);
  buffer->buft = type;
  buffer->iface.free_buffer = free_buffer;
  const std::lock_guard guard(host.mutex);
  host.memory.emplace(memory->arena.data(), std::move(memory));
  return buffer;
}

const char* name(ggml_backend_buffer_type_t) { return "Hypura_Host"; }
bool is_host(ggml_backend_buffer_type_t) { return true; }
size_t alignment(ggml_backend_buffer_type_t) {
  return ggml_backend_buft_get_alignment(ggml_backend_cpu_buffer_type());
}

}  // namespace

ggml_backend_buffer_type_t gpu_host_buffer_type(ggml_backend_dev_t gpu) {
  if (!PageLock::can_lock(gpu)) return ggml_backend_cpu_buffer_type();
  static std::mutex mutex;
  static std::map<ggml_backend_dev_t, HostType> types;
  const std::lock_guard guard(mutex);
  const auto [found, is_new] = types.try_emplace(gpu);
  HostType& host = found->second;
  if (!is_new) return &host.type;
  host.gpu = gpu;
  host.type = {.iface = {.get_name = name,
                         .alloc_buffer = allocate,
                         .get_alignment = alignment,
                         .is_host = is_host},
               .device = nullptr,
               .context = &host};
  return &host.type;
}

}  // namespace hypura
