#include "engine/context_size.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <vector>

// llama.cpp's own headers: its public ones cannot build a context without memory for a model that
// is already loaded.
#include "llama-context.h"
#include "llama-memory.h"
#include "llama-model.h"

#include "engine/llama_log.h"
#include "machine/memory.h"

namespace hypura {
namespace {

// Lets measure_context() read what llama_context keeps to itself: explicit instantiation may name
// private members.
struct ExpectedSizes {
  using Pointer = std::vector<size_t> llama_context::*;
  friend Pointer member(ExpectedSizes);
};
struct BufferTypes {
  using Pointer = std::vector<ggml_backend_buffer_type_t> llama_context::*;
  friend Pointer member(BufferTypes);
};
template <class Tag, typename Tag::Pointer kMember>
struct Grant {
  friend typename Tag::Pointer member(Tag) { return kMember; }
};
template struct Grant<ExpectedSizes, &llama_context::backend_buf_exp_size>;
template struct Grant<BufferTypes, &llama_context::backend_buft>;

// Nodes that only look at others' memory: no thread waits for them.
bool computes_nothing(ggml_op op) {
  return op == GGML_OP_NONE || op == GGML_OP_RESHAPE || op == GGML_OP_VIEW ||
         op == GGML_OP_PERMUTE || op == GGML_OP_TRANSPOSE;
}

}  // namespace

Result<ContextSize> measure_context(llama_model* model, const llama_context_params& params) {
  const LlamaErrors errors;
  const bool before = model->hparams.no_alloc;
  model->hparams.no_alloc = true;
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) {
    model->hparams.no_alloc = before;
    return Status(StatusCode::invalid_argument, "llama.cpp cannot create such a context")
        .because(errors.text())
        .suggest("a smaller --ctx, or other -ctk, -ctv, -fa");
  }

  ContextSize size;
  if (const llama_memory_t memory = llama_get_memory(context)) {
    for (const auto& [type, bytes] : memory->memory_breakdown()) {
      (ggml_backend_buft_is_host(type) ? size.kv_bytes : size.gpu_kv_bytes) += bytes;
    }
  }
  // Backends with the same buffer type share one buffer, and each reports its size.
  std::map<ggml_backend_buffer_type_t, uint64_t> compute_bytes;
  const std::vector<size_t>& expected = context->*member(ExpectedSizes{});
  for (size_t backend = 0; backend < expected.size(); ++backend) {
    uint64_t& bytes = compute_bytes[(context->*member(BufferTypes{}))[backend]];
    bytes = std::max(bytes, uint64_t{expected[backend]});
  }
  for (const auto& [type, bytes] : compute_bytes) {
    const bool host = ggml_backend_buft_is_host(type);
    (host ? size.compute_bytes : size.gpu_compute_bytes) += bytes;
    if (!host) size.gpu_compute_most = std::max(size.gpu_compute_most, bytes);
  }
  const uint64_t vocabulary =
      static_cast<uint64_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  const uint64_t outputs = context->get_cparams().n_outputs_max;
  size.output_bytes = outputs * vocabulary * sizeof(float);
  size.flash_attention = context->get_cparams().flash_attn;
  ggml_cgraph* graph = context->get_gf_res_reserve()->get_gf();
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    if (!computes_nothing(ggml_graph_node(graph, i)->op)) ++size.graph_nodes;
  }
  size.anonymous_bytes = anonymous_bytes();
  llama_free(context);
  model->hparams.no_alloc = before;
  return size;
}

}  // namespace hypura
