#include "backend/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"
#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

namespace hypura {
namespace {

using ProcAddress = void* (*)(ggml_backend_reg_t, const char*);

ProcAddress g_proc_address = nullptr;
bool (*g_quiet_load)() = nullptr;
std::atomic<ggml_backend_set_n_threads_t> g_set_threads = nullptr;
std::atomic<int> g_threads_asked = 0;

ggml_backend_reg_t cpu_registry() { return ggml_backend_dev_backend_reg(cpu_device()); }

// A function of the CPU registry by its name there, which is its name in ggml-cpu.h.
template <class Function>
Function* cpu_function(const char* name) {
  void* address = ggml_backend_reg_get_proc_address(cpu_registry(), name);
  HYPURA_CHECK(address != nullptr);
  return reinterpret_cast<Function*>(address);
}

bool always_numa() { return true; }

void set_threads(ggml_backend_t backend, int threads) {
  int most = g_threads_asked.load();
  while (threads > most && !g_threads_asked.compare_exchange_weak(most, threads)) continue;
  g_set_threads.load()(backend, threads);
}

void* hooked_proc_address(ggml_backend_reg_t registry, const char* name) {
  void* address = g_proc_address(registry, name);
  if (std::strcmp(name, "ggml_backend_cpu_is_numa") == 0 && g_quiet_load()) {
    return reinterpret_cast<void*>(always_numa);
  }
  if (std::strcmp(name, "ggml_backend_set_n_threads") == 0 && address != nullptr) {
    g_set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(address);
    return reinterpret_cast<void*>(set_threads);
  }
  return address;
}

}  // namespace

ggml_backend_dev_t cpu_device() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU); }

void hook_cpu_registry(bool (*quiet_load)()) {
  g_quiet_load = quiet_load;
  g_proc_address = cpu_registry()->iface.get_proc_address;
  HYPURA_CHECK(g_proc_address != hooked_proc_address);
  cpu_registry()->iface.get_proc_address = hooked_proc_address;
}

void unhook_cpu_registry() { cpu_registry()->iface.get_proc_address = g_proc_address; }

int threads_asked() { return g_threads_asked.load(); }

void CpuThreads::Free::operator()(ggml_threadpool* pool) const {
  cpu_function<decltype(ggml_threadpool_free)>("ggml_threadpool_free")(pool);
}

CpuThreads::CpuThreads(int threads) {
  if (threads > 0) grow(threads);
}

void CpuThreads::serve(ggml_backend_t backend, int threads) {
  if (threads > threads_ || pools_.empty()) grow(std::max(threads, 1));
  cpu_function<decltype(ggml_backend_cpu_set_threadpool)>("ggml_backend_cpu_set_threadpool")(
      backend, pools_.back().get());
}

void CpuThreads::grow(int threads) {
  ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  pools_.emplace_back(cpu_function<decltype(ggml_threadpool_new)>("ggml_threadpool_new")(&params));
  threads_ = threads;
}

}  // namespace hypura
