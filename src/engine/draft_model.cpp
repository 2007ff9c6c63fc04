#include "engine/draft_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/units.h"
#include "engine/llama_log.h"
#include "engine/sampler.h"
#include "machine/memory.h"
#include "model/model_index.h"
#include "speculative.h"

namespace hypura {
namespace {

constexpr uint64_t kAlignmentBytes = 64;  // of a tensor in ggml's buffers

// llama.cpp's (common/speculative.cpp): padding may differ, and the first tokens are special.
constexpr int kVocabularyDifferenceMax = 128;
constexpr llama_token kFirstComparedToken = 5;

constexpr const char* kOtherDraft = "a small model of the same family, or --draft lookup";

Status refuse(const std::string& path, const char* why) {
  return Status(StatusCode::invalid_argument, fmt::format("--draft: {} cannot draft", path))
      .because(why)
      .suggest(kOtherDraft);
}

Status of_the_draft(const Status& status) {
  return Status(status.code(), "--draft: " + status.message())
      .because(status.why())
      .suggest(status.hint().empty() ? kOtherDraft : status.hint());
}

common_params draft_params(const std::string& path, const common_params& target) {
  common_params params = target;
  params.speculative.draft.mparams.path = path;
  params = common_base_params_to_speculative(params);
  params.n_gpu_layers = 0;
  params.devices = {nullptr};
  params.no_extra_bufts = true;
  params.load_mode = LLAMA_LOAD_MODE_NONE;
  params.lazy_mode = LLAMA_LAZY_MODE_OFF;
  return params;
}

llama_context_params context_params(const common_params& params) {
  llama_context_params context = common_context_params_to_llama(params);
  context.op_offload = false;
  return context;
}

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::open(const std::string& path,
                                                     const common_params& target) {
  Result<ModelIndex> index = ModelIndex::open(path);
  if (!index.ok()) return of_the_draft(index.status());
  std::unique_ptr<DraftModel> draft(new DraftModel);
  draft->params_ = draft_params(index->shards().front().path, target);
  draft->weight_bytes_ =
      index->info().weight_bytes + kAlignmentBytes * index->tensors().size();

  if (Status status = draft->load_model(true); !status.ok()) return status;
  const llama_model* model = draft->model_.get();
  if (llama_model_has_encoder(model) || !llama_model_has_decoder(model)) {
    return refuse(path, "it does not continue text token after token by itself");
  }
  if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) {
    return refuse(path, "its recurrent state cannot forget what was not accepted");
  }
  const uint64_t before = anonymous_bytes();
  if (Status status = draft->measure(); !status.ok()) return status;
  if (draft->size_.kv_bytes == 0 || llama_model_is_diffusion(model)) {
    return refuse(path, "it does not continue text token after token");
  }
  draft->sampling_bytes_ = hypura::sampling_bytes(llama_model_get_vocab(model), {});
  draft->base_bytes_ = saturating_subtract(draft->size_.anonymous_bytes, before);
  return draft;
}

Status DraftModel::measure() {
  Result<ContextSize> size = measure_context(model_.get(), context_params(params_));
  if (!size.ok()) return of_the_draft(size.status());
  size_ = *size;
  return Status();
}

Status DraftModel::load(const llama_vocab* target) {
  if (Status status = check_vocabularies(target, llama_model_get_vocab(model_.get()));
      !status.ok()) {
    return status;
  }
  if (Status status = load_model(false); !status.ok()) return status;
  const LlamaErrors errors;
  context_.reset(llama_init_from_model(model_.get(), context_params(params_)));
  if (context_ != nullptr) return Status();
  return Status(StatusCode::failed, "llama.cpp cannot create a context for the draft model")
      .because(errors.text());
}

Status DraftModel::load_model(bool without_memory) {
  llama_model_params params = common_model_params_to_llama(params_);
  params.no_alloc = without_memory;
  const LlamaErrors errors;
  model_.reset();
  model_.reset(llama_model_load_from_file(path().c_str(), params));
  if (model_ != nullptr) return Status();
  return Status(StatusCode::invalid_model, fmt::format("--draft: llama.cpp cannot load {}", path()))
      .because(errors.text())
      .suggest(kOtherDraft);
}

uint64_t DraftModel::budget_bytes() const {
  return weight_bytes_ + size_.total_bytes() + sampling_bytes_;
}

Status check_can_verify(const llama_model* model) {
  const auto cannot = [](const char* why) {
    return Status(StatusCode::invalid_argument, "this model cannot be used with --draft")
        .because(why)
        .suggest("the same without --draft");
  };
  if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) {
    return cannot("its recurrent state cannot forget tokens that were not accepted");
  }
  if (llama_model_has_encoder(model)) return cannot("it reads prompts with an encoder");
  return Status();
}

Status check_vocabularies(const llama_vocab* target, const llama_vocab* draft) {
  const auto differ = [](std::string why) {
    return Status(StatusCode::invalid_argument, "--draft: its vocabulary is not the model's")
        .because(std::move(why))
        .suggest(kOtherDraft);
  };
  if (llama_vocab_type(target) != llama_vocab_type(draft)) {
    return differ("their tokenizers are of different kinds");
  }
  const auto same_special = [&](bool (*adds)(const llama_vocab*),
                                llama_token (*token)(const llama_vocab*)) {
    return adds(target) == adds(draft) && (!adds(target) || token(target) == token(draft));
  };
  if (!same_special(llama_vocab_get_add_bos, llama_vocab_bos) ||
      !same_special(llama_vocab_get_add_eos, llama_vocab_eos)) {
    return differ("their texts begin or end with different tokens");
  }
  const int target_count = llama_vocab_n_tokens(target);
  const int draft_count = llama_vocab_n_tokens(draft);
  if (std::abs(target_count - draft_count) > kVocabularyDifferenceMax) {
    return differ(fmt::format("{} tokens, the model has {}", draft_count, target_count));
  }
  for (llama_token i = kFirstComparedToken; i < std::min(target_count, draft_count); ++i) {
    if (std::strcmp(llama_vocab_get_text(target, i), llama_vocab_get_text(draft, i)) == 0) continue;
    return differ(fmt::format("token {} is another word", i));
  }
  return Status();
}

}  // namespace hypura
