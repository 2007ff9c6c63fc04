#include "backend/gpu/host_memory.h"

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/gpu/page_lock.h"
#include "ggml-backend-impl.h"
#include "ggml-cpp.h"
#include "ggml-cpu.h"
#include "machine/memory.h"
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

void free_buffer(ggml_backend_buffer_t buffer) noexcept {
  HostType& type = of(buffer->buft);
  std::unique_lock lock(type.mutex);
  const auto memory = type.memory.extract(buffer->context);
  lock.unlock();  // for it takes long to give gigabytes back
}

// Nothing where there is not that much, or the driver refuses.
std::unique_ptr<HostMemory> locked_memory(ggml_backend_dev_t gpu, size_t size) {
  // Pages are taken at once: too many would not fail, but end the process.
  if (size > available_bytes()) return nullptr;
  Result<Arena> arena = Arena::create(size);
  if (!arena.ok()) return nullptr;
  auto memory = std::make_unique<HostMemory>(gpu, *std::move(arena));
  return memory->lock.holds() ? std::move(memory) : nullptr;
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) noexcept try {
  HostType& host = of(type);
  std::unique_ptr<HostMemory> memory = locked_memory(host.gpu, size);
  if (memory == nullptr) {
    ggml_backend_buffer_type_t other = ggml_backend_dev_host_buffer_type(host.gpu);
    if (other == nullptr) other = ggml_backend_cpu_buffer_type();
    return ggml_backend_buft_alloc_buffer(other, size);
  }
  void* address = memory->arena.data();
  ggml_backend_buffer_ptr buffer(ggml_backend_cpu_buffer_from_ptr(address, size));
  const std::lock_guard guard(host.mutex);
  host.memory.emplace(address, std::move(memory));
  buffer->buft = type;
  buffer->iface.free_buffer = free_buffer;
  return buffer.release();
} catch (const std::exception&) {
  return nullptr;
}

// Drivers can be told not to lock memory: theirs then is of the ordinary kind, too.
bool locks_memory(ggml_backend_dev_t gpu) {
  ggml_backend_dev_props properties;
  ggml_backend_dev_get_props(gpu, &properties);
  return properties.caps.host_buffer && PageLock::can_lock(gpu);
}

const char* name(ggml_backend_buffer_type_t) { return "Hypura_Host"; }
bool is_host(ggml_backend_buffer_type_t) { return true; }
size_t alignment(ggml_backend_buffer_type_t) {
  return ggml_backend_buft_get_alignment(ggml_backend_cpu_buffer_type());
}

}  // namespace

ggml_backend_buffer_type_t gpu_host_buffer_type(ggml_backend_dev_t gpu) {
  if (!locks_memory(gpu)) return ggml_backend_cpu_buffer_type();
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
