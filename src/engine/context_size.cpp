#include "engine/context_size.h"

// llama.cpp's own headers: its public ones cannot build a context without memory for a model that
// is already loaded.
#include "llama-context.h"
#include "llama-ext.h"
#include "llama-model.h"

namespace hypura {
namespace {

// What sampling keeps per vocabulary entry: a llama_token_data, and a sorted copy.
constexpr uint64_t kCandidateBytes = 2 * sizeof(llama_token_data);

}  // namespace

Result<ContextSize> measure_context(llama_model* model, const llama_context_params& params) {
  const bool before = model->hparams.no_alloc;
  model->hparams.no_alloc = true;
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) {
    model->hparams.no_alloc = before;
    return Status(StatusCode::failed, "llama.cpp cannot create a context for this model")
        .suggest("-v for its reasons; a smaller --ctx, or other -ctk, -ctv, -fa");
  }

  ContextSize size;
  for (const auto& [type, memory] : llama_get_memory_breakdown(context)) {
    size.kv_bytes += memory.context;
    size.compute_bytes += memory.compute;
  }
  const uint64_t vocabulary =
      static_cast<uint64_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  const uint64_t outputs = context->get_cparams().n_outputs_max;
  size.output_bytes = outputs * vocabulary * sizeof(float) + vocabulary * kCandidateBytes;
  size.flash_attention = context->get_cparams().flash_attn;
  llama_free(context);
  model->hparams.no_alloc = before;
  return size;
}

}  // namespace hypura
