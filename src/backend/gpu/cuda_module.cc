// CUDA's backend in a module of its own, in its place for ggml's registry: loaded when somebody
// first asks for devices, and not with the program. CUDA's libraries take 100 MB of every process
// that links them, also of one that computes nothing, as a server's parent.
#include <dlfcn.h>

#include <cstdio>

#include "base/gpu_use.h"
#include "ggml-cuda.h"

namespace {

using GetRegistry = ggml_backend_reg_t (*)();

// nullptr where GPUs are not to be used, or, with a warning, where the module or what it needs is
// missing: then there is none.
GetRegistry load() {
  if (!hypura::may_use_gpus()) return nullptr;
  void* module = ::dlopen(HYPURA_CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    std::fprintf(stderr, "warning: the GPU takes no part: %s\n", ::dlerror());
    return nullptr;
  }
  return reinterpret_cast<GetRegistry>(::dlsym(module, "ggml_backend_cuda_reg"));
}

}  // namespace

ggml_backend_reg_t ggml_backend_cuda_reg() {
  static const GetRegistry get = load();
  return get == nullptr ? nullptr : get();
}
