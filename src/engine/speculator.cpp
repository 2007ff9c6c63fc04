#include "engine/speculator.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace hypura {
namespace {

// A look-up proposes what followed the last time that so many tokens were said. Fewer propose more
// often, and a wrong proposal costs little where a pass is bound by its reads.
constexpr uint16_t kLookupTokens = 3;

// Where dense weights stream, a pass is as long as its reads; where experts do, each token brings
// some of its own. Resident: llama.cpp drafts 3.
int start_depth(Mode mode) {
  switch (mode) {
    case Mode::dense: return 8;
    case Mode::experts:
    case Mode::mixed: return 1;
    case Mode::resident:
    case Mode::mapped:
    case Mode::automatic: return 4;
  }
  return 1;
}

int depth_max(const DraftOptions& options) {
  return options.depth > 0 ? options.depth : kDraftDepthMax;
}

common_params_speculative speculative_params(const Engine& engine) {
  const DraftOptions& options = engine.draft_options();
  common_params_speculative params;
  params.draft.ctx_tgt = engine.context();
  params.draft.ctx_dft = engine.draft_context();
  params.draft.n_max = depth_max(options);
  params.ngram_simple.size_n = kLookupTokens;
  params.ngram_simple.size_m = static_cast<uint16_t>(depth_max(options));
  params.types = {options.kind == DraftOptions::Kind::lookup
                      ? COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE
                      : COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE};
  return params;
}

}  // namespace

Speculator::Speculator(Engine& engine)
    : engine_(engine),
      draft_context_(engine.draft_context()),
      batch_(std::max<int>(1 + depth_max(engine.draft_options()),
                           static_cast<int>(llama_n_ubatch(engine.context())))),
      depth_(start_depth(engine.plan().mode)) {
  common_params_speculative params = speculative_params(engine);
  speculative_.reset(common_speculative_init(params, 1));
}

void Speculator::begin_answer() {
  draft_.clear();
  row_ = -1;
  stats_ = {};
}

Status Speculator::add_token(llama_token token, std::vector<llama_token>& history, int draft_max) {
  if (row_ >= 0 && row_ < std::ssize(draft_) && draft_[static_cast<size_t>(row_)] == token) {
    ++row_;
    history.push_back(token);
    return Status();
  }
  if (Status status = settle(history, true); !status.ok()) return status;
  const int asked = engine_.draft_options().depth;
  const int depth = asked > 0 ? asked : depth_.choose();
  if (Status status =
          propose(token, history, std::min({depth, draft_max, depth_limit(history.size())}));
      !status.ok()) {
    return status;
  }
  if (Status status = compute(token, history.size()); !status.ok()) {
    draft_.clear();
    return status;
  }
  history.push_back(token);
  row_ = 0;
  return Status();
}

Status Speculator::end_answer(const std::vector<llama_token>& history) {
  return settle(history, false);
}

// Closes the last pass. `rejected`: the model has contradicted the rest of the draft.
Status Speculator::settle(const std::vector<llama_token>& history, bool rejected) {
  if (row_ < 0) return Status();
  const int drafted = static_cast<int>(draft_.size());
  const int accepted = std::exchange(row_, -1);
  depth_.learn({.drafted = drafted,
                .accepted = accepted,
                .rejected = rejected && accepted < drafted,
                .pass_seconds = pass_seconds_,
                .draft_seconds = draft_seconds_});
  ++stats_.passes;
  stats_.drafted += static_cast<uint64_t>(drafted);
  stats_.accepted += static_cast<uint64_t>(accepted);
  draft_.clear();
  if (drafted == 0) return Status();
  common_speculative_accept(speculative_.get(), 0, static_cast<uint16_t>(accepted));
  if (accepted == drafted) return Status();
  const llama_pos end = static_cast<llama_pos>(history.size());
  if (llama_memory_seq_rm(llama_get_memory(engine_.context()), 0, end, -1)) return Status();
  return Status(StatusCode::failed, "this model's context cannot forget what was not accepted")
      .suggest("the same without --draft");
}

// Fills draft_ with what may follow `token`.
Status Speculator::propose(llama_token token, const std::vector<llama_token>& history, int depth) {
  draft_seconds_ = 0;
  if (depth <= 0) return Status();
  double start = now_seconds();
  if (draft_context_ != nullptr) {
    const Result<size_t> read = catch_up(history);
    if (!read.ok()) return read.status();
    // A prompt is read once: how deep to go does not depend on it.
    if (*read > 1) start = now_seconds();
  }
  common_speculative_get_draft_params(speculative_.get(), 0) = {
      .drafting = true,
      .n_max = depth,
      .pos0 = static_cast<llama_pos>(history.size()),
      .id_last = token,
      .prompt = &history,
      .result = &draft_,
  };
  common_speculative_draft(speculative_.get());
  if (draft_context_ != nullptr && !draft_.empty()) {
    // The last drafted token was sampled, not read.
    known_.push_back(token);
    known_.insert(known_.end(), draft_.begin(), draft_.end() - 1);
  }
  draft_seconds_ = now_seconds() - start;

  // What the model does not know, or will not be asked to continue, needs no row.
  const auto is_final = [&](llama_token drafted) {
    return drafted >= llama_vocab_n_tokens(engine_.vocab()) ||
           llama_vocab_is_eog(engine_.vocab(), drafted);
  };
  draft_.erase(std::find_if(draft_.begin(), draft_.end(), is_final), draft_.end());
  return Status();
}

// Lets the draft model's context hold `history`; returns how many tokens it had to read for that.
// Those that it has drafted itself it knows; a prompt it reads in front of the first draft.
Result<size_t> Speculator::catch_up(const std::vector<llama_token>& history) {
  const size_t same = static_cast<size_t>(
      std::mismatch(known_.begin(), known_.end(), history.begin(), history.end()).first -
      known_.begin());
  llama_memory_seq_rm(llama_get_memory(draft_context_), 0, static_cast<llama_pos>(same), -1);
  known_.resize(same);
  const size_t batch_max = llama_n_ubatch(draft_context_);
  while (known_.size() < history.size()) {
    const size_t count = std::min(batch_max, history.size() - known_.size());
    common_batch_clear(batch_.tokens);
    for (size_t i = known_.size(); i < known_.size() + count; ++i) {
      common_batch_add(batch_.tokens, history[i], static_cast<llama_pos>(i), {0}, false);
    }
    if (engine_.interrupted()) return Status(StatusCode::interrupted, "interrupted");
    if (!common_speculative_process(speculative_.get(), batch_.tokens)) {
      known_.clear();
      return Status(StatusCode::failed, "llama.cpp could not compute the draft model");
    }
    const auto begin = history.begin() + static_cast<ptrdiff_t>(known_.size());
    known_.insert(known_.end(), begin, begin + static_cast<ptrdiff_t>(count));
  }
  return history.size() - same;
}

Status Speculator::compute(llama_token token, size_t position) {
  common_batch_clear(batch_.tokens);
  llama_pos at = static_cast<llama_pos>(position);
  common_batch_add(batch_.tokens, token, at, {0}, true);
  for (const llama_token drafted : draft_) {
    common_batch_add(batch_.tokens, drafted, ++at, {0}, true);
  }
  const double start = now_seconds();
  Status status = engine_.decode(batch_.tokens);
  pass_seconds_ = now_seconds() - start;
  return status;
}

// What context and micro-batch have room for, behind the token at `position`. Another micro-batch
// would read the weights anew.
int Speculator::depth_limit(size_t position) const {
  const uint64_t room = llama_n_ctx(engine_.context()) - position - 1;
  const uint64_t batch = llama_n_ubatch(engine_.context()) - 1;
  return static_cast<int>(std::min(room, batch));
}

}  // namespace hypura
