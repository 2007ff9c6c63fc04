#include "backend/gpu/page_lock.h"

#include <cstdlib>

namespace hypura {
namespace {

// ggml's backends of the CUDA family have it, for those who ask by this variable.
constexpr const char* kAllowed = "GGML_CUDA_REGISTER_HOST";
constexpr const char* kLock = "ggml_backend_register_host_buffer";
constexpr const char* kUnlock = "ggml_backend_unregister_host_buffer";

void* function(ggml_backend_dev_t gpu, const char* name) {
  return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(gpu), name);
}

}  // namespace

bool PageLock::can_lock(ggml_backend_dev_t gpu) { return function(gpu, kLock) != nullptr; }

PageLock::PageLock(ggml_backend_dev_t gpu, const std::vector<std::span<std::byte>>& memory)
    : gpu_(gpu) {
  void* address = function(gpu, kLock);
  if (address == nullptr) return;
  setenv(kAllowed, "1", 0);
  const auto lock = reinterpret_cast<bool (*)(void*, size_t)>(address);
  for (const std::span<std::byte> part : memory) {
    if (!part.empty() && lock(part.data(), part.size())) locked_.push_back(part.data());
  }
}

PageLock::~PageLock() {
  if (locked_.empty()) return;
  const auto unlock = reinterpret_cast<void (*)(void*)>(function(gpu_, kUnlock));
  for (void* part : locked_) unlock(part);
}

}  // namespace hypura
