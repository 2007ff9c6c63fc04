#pragma once

#include <memory>
#include <vector>

#include "ggml-backend.h"

struct ggml_threadpool;

namespace hypura {

// The CPU backend that computes for us. All of it is reached through ggml's registry: in a host
// program it may be a module of its own, whose symbols nobody can link to.
ggml_backend_dev_t cpu_device();

// While hooked, the CPU registry answers llama.cpp's loader "NUMA" where `quiet_load` says so: the
// loader then neither populates nor reads ahead its mapping of the file. The thread counts that
// contexts ask of their backends are noted on the way.
// The one vtable hook of ours. REQUIRES: not hooked yet; callers serialise.
void hook_cpu_registry(bool (*quiet_load)());
void unhook_cpu_registry();

// The largest number of threads that a context created under the hook has computed with.
int threads_asked();

// Persistent compute threads: a pool made for one call costs 1.4 ms, and a token takes many calls.
// Used under a lock. Outlives the computing of every backend it has served.
class CpuThreads {
 public:
  // `threads`: 0 if only serve() will tell.
  explicit CpuThreads(int threads);

  // The threads themselves, for a context that computes with the CPU backend. REQUIRES: there are
  // some.
  ggml_threadpool* pool() const { return pools_.back().get(); }

  // Lets `backend` compute with our threads, `threads` at least.
  void serve(ggml_backend_t backend, int threads);

 private:
  struct Free {
    void operator()(ggml_threadpool* pool) const;
  };

  void grow(int threads);

  int threads_ = 0;  // of the last pool
  // Backends keep the pool that last served them, so outgrown ones stay. Each is larger than the
  // one before: at most GGML_MAX_N_THREADS of them.
  std::vector<std::unique_ptr<ggml_threadpool, Free>> pools_;
};

}  // namespace hypura
