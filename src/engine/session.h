#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/speculator.h"
#include "llama.h"
#include "sampling.h"

namespace hypura {

enum class StopReason : uint8_t { length, end_of_text, stop_word, context_full, interrupted };
const char* to_string(StopReason reason);

// One answer and what it took.
struct Answer {
  std::string text;
  std::vector<llama_token> tokens;  // without the end-of-text token
  StopReason stop = StopReason::length;
  uint64_t prompt_tokens = 0;  // processed for this answer, without those already in context
  double prompt_seconds = 0;
  double first_token_seconds = 0;  // from the start of the prompt
  double decode_seconds = 0;       // for all tokens but the first
  EngineStats first_token_stats;   // the engine's, when the first token was there
  DraftStats draft;
};

// What a chat format says of an answer's text, beside the engine's parameters.
struct AnswerSyntax {
  std::vector<std::string> stop_words;
  std::set<llama_token> shown;  // special tokens that are a part of the text
};

// A conversation with one context: what was said stays in the KV cache, and each prompt only adds
// to it. Not copyable; used by one thread.
class Session {
 public:
  // The sampler's parameters come from the engine's. Errors: invalid_argument for a bad grammar.
  static Result<std::unique_ptr<Session>> create(Engine& engine);

  // Adds `prompt` to the context and samples until `predict_max` tokens (-1: until the model ends
  // or the context is full). `on_text` gets complete UTF-8 as it comes. An interrupt is an answer
  // that stopped early, not an error.
  Result<Answer> answer(const std::vector<llama_token>& prompt, int predict_max,
                        const std::function<void(const std::string&)>& on_text);

  // Takes from the context what `text`, prompts and answers from the first token on, does not begin
  // with; returns how many tokens of it are there. The last of `text` never is: the logits behind
  // it are wanted. 0 where the model's memory cannot go back. REQUIRES: `text` is not empty.
  size_t keep(const std::vector<llama_token>& text);

  void set_syntax(AnswerSyntax syntax) { syntax_ = std::move(syntax); }
  // Other sampling from here on. Errors: invalid_argument, and nothing has changed.
  Status set_sampling(const common_params_sampling& sampling);

  // The context's tokens with their KV, to a file and back. A file of another model or context is
  // refused or misread: whoever loads knows that it is of this one. Errors: failed, and then the
  // context is empty after loading.
  Status save_state(const std::string& path) const;
  Status load_state(const std::string& path);

  // All tokens in the context, prompts and answers.
  const std::vector<llama_token>& history() const { return history_; }

 private:
  Session(Engine& engine, common_sampler_ptr sampler);

  Status process_prompt(const std::vector<llama_token>& prompt);
  Status process_encoder_prompt(const std::vector<llama_token>& prompt);
  // The context takes `token`; the answer goes on for at most `more` tokens.
  Status add_token(llama_token token, int more);
  void forget_unfinished();
  bool make_room();
  bool can_go_back_to(size_t count) const;
  void forget_all();
  void remind_sampler();

  Engine& engine_;
  common_sampler_ptr sampler_;
  std::unique_ptr<Speculator> speculator_;  // null without a draft
  std::vector<llama_token> history_;
  AnswerSyntax syntax_;
};

}  // namespace hypura
