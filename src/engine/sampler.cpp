#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>

#include "engine/llama_log.h"

namespace hypura {
namespace {

// Per vocabulary entry: a llama_token_data, and a sorted copy.
constexpr uint64_t kCandidateBytes = 2 * sizeof(llama_token_data);

// A grammar decodes every token's text (llama-grammar.cpp): a vector of its characters and a final
// zero, and then follows it a character at a time. Each step holds those that still match and those
// that do not, 32 bytes each.
constexpr uint64_t kDecodedBytes = 32 + 32;
constexpr uint64_t kCharacterBytes = sizeof(uint32_t) + 2 * 32;
constexpr uint64_t kRejectBytes = 2 * 32;
constexpr uint64_t kAllocationBytes = 24;  // malloc's own and its rounding

uint64_t grammar_bytes(const llama_vocab* vocab) {
  uint64_t bytes = 0;
  for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
    const int32_t length = -llama_token_to_piece(vocab, token, nullptr, 0, 0, true);
    bytes += kDecodedBytes + kAllocationBytes + kRejectBytes +
             (static_cast<uint64_t>(std::max(length, 0)) + 1) * kCharacterBytes;
  }
  return bytes;
}

}  // namespace

Result<common_sampler_ptr> make_sampler(llama_model* model, common_params_sampling params) {
  if (params.ignore_eos) {
    const llama_vocab* vocab = llama_model_get_vocab(model);
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
      if (llama_vocab_is_eog(vocab, token)) params.logit_bias.push_back({token, -INFINITY});
    }
  }
  const LlamaErrors errors;
  std::string reason;
  common_sampler_ptr sampler;
  try {
    sampler.reset(common_sampler_init(model, params));
  } catch (const std::exception& error) {
    reason = error.what();
  }
  if (sampler == nullptr) {
    return Status(StatusCode::invalid_argument, "llama.cpp refuses the sampling parameters")
        .because(reason.empty() ? errors.text() : reason)
        .suggest("another --grammar or --json-schema");
  }
  return sampler;
}

uint64_t sampling_bytes(const llama_vocab* vocab, const common_params_sampling& params) {
  const uint64_t candidates = static_cast<uint64_t>(llama_vocab_n_tokens(vocab)) * kCandidateBytes;
  return candidates + (params.grammar.empty() ? 0 : grammar_bytes(vocab));
}

}  // namespace hypura
