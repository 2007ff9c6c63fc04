#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "engine/draft_depth.h"
#include "engine/engine.h"
#include "llama.h"
#include "speculative.h"

namespace hypura {

struct DraftStats {
  uint64_t passes = 0;   // of the model, each over a token and the draft behind it
  uint64_t drafted = 0;  // tokens
  uint64_t accepted = 0;
};

// Speculative decoding: a draft model, or a look-up in what was said, proposes the next tokens, and
// the model computes all of them in one pass, for which its weights stream once. Tokens are sampled
// one by one from the rows of that pass as they would be without a draft: a proposal decides when a
// token comes, not which. llama.cpp proposes (common/speculative); how many tokens is ours.
// Used by the session's thread; the engine outlives it. REQUIRES: the engine has a draft.
class Speculator {
 public:
  explicit Speculator(Engine& engine);

  // The context has a prompt whose last logits are to be sampled.
  void begin_answer();
  // Makes the logits behind `token`, the next of `history`, and appends it there. They exist if it
  // was drafted; else the model computes them, with a draft of at most `draft_max` tokens behind.
  Status add_token(llama_token token, std::vector<llama_token>& history, int draft_max);
  // Where the logits behind the last token are: an index for common_sampler_sample.
  int row() const { return row_; }
  // Takes from the context what was drafted but is not in `history`.
  Status end_answer(const std::vector<llama_token>& history);

  // Of the answer.
  const DraftStats& stats() const { return stats_; }

 private:
  struct Batch {
    explicit Batch(int tokens_max) : tokens(llama_batch_init(tokens_max, 0, 1)) {}
    ~Batch() { llama_batch_free(tokens); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    llama_batch tokens;
  };

  Status settle(const std::vector<llama_token>& history, bool rejected);
  Status propose(llama_token token, const std::vector<llama_token>& history, int depth);
  Result<size_t> catch_up(const std::vector<llama_token>& history);
  Status compute(llama_token token, size_t position);
  int depth_limit(size_t position) const;

  Engine& engine_;
  llama_context* draft_context_;  // null: nothing but a look-up
  common_speculative_ptr speculative_;
  Batch batch_;
  DraftDepth depth_;

  // The last pass: its draft, how much of it was accepted so far (-1 before the first pass), times.
  std::vector<llama_token> draft_;
  int row_ = -1;
  double pass_seconds_ = 0;
  double draft_seconds_ = 0;

  std::vector<llama_token> known_;  // what the draft model's context holds
  DraftStats stats_;
};

}  // namespace hypura
