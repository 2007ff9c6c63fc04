#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "common.h"
#include "engine/context_size.h"
#include "llama-cpp.h"

namespace hypura {

// A small model that proposes what the large one will say. Plain llama.cpp, wholly in RAM and read
// without a mapping, so that nobody evicts it; not repacked, so that it is held once and proposes
// the same beside a streamed and a resident model. Used by the engine's thread.
class DraftModel {
 public:
  // Reads the file's metadata and measures what it will take. `target`: the large model's
  // parameters, whose context and threads it shares. Errors: failed or invalid_model for the file,
  // invalid_argument for a model that cannot draft.
  static Result<std::unique_ptr<DraftModel>> open(const std::string& path,
                                                  const common_params& target);

  // Measures the context again, with the backends that are registered by now. REQUIRES: not loaded.
  Status measure();
  // Reads the weights and makes the context. Errors: invalid_argument, if `target` is not the
  // vocabulary it was made for.
  Status load(const llama_vocab* target);

  const std::string& path() const { return params_.model.path; }
  // What comes out of the budget: weights, KV, activations, logits and sampling. ggml's work buffer
  // is not in it.
  uint64_t budget_bytes() const;
  // Bookkeeping of the context, a part of the process base. The vocabulary is in memory from open()
  // on.
  uint64_t base_bytes() const { return base_bytes_; }
  // REQUIRES: loaded.
  llama_context* context() const { return context_.get(); }

 private:
  DraftModel() = default;
  Status load_model(bool without_memory);

  common_params params_;
  uint64_t weight_bytes_ = 0;
  uint64_t sampling_bytes_ = 0;
  uint64_t base_bytes_ = 0;
  ContextSize size_;
  llama_model_ptr model_;  // without memory until loaded
  llama_context_ptr context_;
};

// Whether a model can verify drafts: it must be able to forget tokens that were not accepted.
Status check_can_verify(const llama_model* model);

// Whether tokens of one vocabulary mean the same in the other: as llama.cpp checks it for drafts,
// but with the reason.
Status check_vocabularies(const llama_vocab* target, const llama_vocab* draft);

}  // namespace hypura
