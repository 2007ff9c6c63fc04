// CUDA's backend in a module of its own, in its place for ggml's registry: loaded when somebody
// first asks for devices, and not with the program. CUDA's libraries take 100 MB of every process
// that links them, also of one that computes nothing, as a server's parent.
#include <dlfcn.h>

#include <cstdio>

#include "base/cuda_use.h"
#include "ggml-cuda.h"

namespace {

using GetRegistry = ggml_backend_reg_t (*)();

// nullptr where CUDA is not to be used, or, with a warning, where the module or what it needs is
// missing: then there is no GPU. To stderr, as ggml's own words of devices go before anybody hears
// them.
GetRegistry load() {
  if (!hypura::may_use_cuda()) return nullptr;
  void* module = ::dlopen(HYPURA_CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
  void* get = module == nullptr ? nullptr : ::dlsym(module, "ggml_backend_cuda_reg");
  if (get == nullptr) std::fprintf(stderr, "warning: the GPU takes no part: %s\n", ::dlerror());
  return reinterpret_cast<GetRegistry>(get);
}

}  // namespace

ggml_backend_reg_t ggml_backend_cuda_reg() {
  static const GetRegistry get = load();
  return get == nullptr ? nullptr : get();
}
