#include "engine/numerics.h"

namespace hypura {

Numerics numerics_of(const Engine& engine) {
  const common_params& params = engine.params();
  const GpuSummary& gpu = engine.plan().gpu;
  return {
      .threads = llama_n_threads(engine.context()),
      .threads_batch = llama_n_threads_batch(engine.context()),
      .batch = llama_n_batch(engine.context()),
      .micro_batch = llama_n_ubatch(engine.context()),
      .context = llama_n_ctx(engine.context()),
      .flash_attention = engine.plan().context.flash_attention,
      .type_k = ggml_type_name(params.cache_type_k),
      .type_v = ggml_type_name(params.cache_type_v),
      .repack = !params.no_extra_bufts || engine.plan().repacked_bytes > 0,
      .gpu_weight_bytes = engine.plan().gpu.weight_bytes,
      .gpu_batches = gpu.experts.has_value() || gpu.batches.has_value() ||
                     (gpu.weight_bytes > 0 && !streams(engine.plan().mode)),
  };
}

}  // namespace hypura
