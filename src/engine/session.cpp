#include "engine/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "engine/sampler.h"
#include "engine/utf8.h"

namespace hypura {
namespace {

// Position of the first stop word in `text`, searched from `from`; npos if there is none.
size_t find_stop_word(const std::string& text, size_t from, const std::vector<std::string>& words) {
  size_t first = std::string::npos;
  for (const std::string& word : words) {
    const size_t start = from > word.size() ? from - word.size() : 0;
    first = std::min(first, text.find(word, start));
  }
  return first;
}

}  // namespace

const char* to_string(StopReason reason) {
  switch (reason) {
    case StopReason::length: return "length";
    case StopReason::end_of_text: return "end_of_text";
    case StopReason::stop_word: return "stop_word";
    case StopReason::context_full: return "context_full";
    case StopReason::interrupted: return "interrupted";
  }
  return "";
}

Result<std::unique_ptr<Session>> Session::create(Engine& engine) {
  if (llama_model_is_diffusion(engine.model())) {
    return Status(StatusCode::invalid_argument,
                  "this model writes by diffusion, not token after token")
        .suggest("llama-diffusion-cli of llama.cpp");
  }
  Result<common_sampler_ptr> sampler = make_sampler(engine.model(), engine.params().sampling);
  if (!sampler.ok()) return sampler.status();
  return std::unique_ptr<Session>(new Session(engine, *std::move(sampler)));
}

Session::Session(Engine& engine, common_sampler_ptr sampler)
    : engine_(engine), sampler_(std::move(sampler)) {
  if (engine.draft_options().kind == DraftOptions::Kind::none) return;
  speculator_ = std::make_unique<Speculator>(engine);
}

Result<Answer> Session::answer(const std::vector<llama_token>& prompt, int predict_max,
                               const std::function<void(const std::string&)>& on_text) {
  const double start = now_seconds();
  Answer answer;
  answer.prompt_tokens = prompt.size();
  Status status = llama_model_has_encoder(engine_.model()) ? process_encoder_prompt(prompt)
                                                           : process_prompt(prompt);
  if (status.code() == StatusCode::interrupted) {
    forget_unfinished();
    answer.stop = StopReason::interrupted;
    return answer;
  }
  if (!status.ok()) return status;
  answer.prompt_seconds = now_seconds() - start;

  if (speculator_ != nullptr) speculator_->begin_answer();
  double first_token = 0;
  Utf8Stream stream;
  while (predict_max < 0 || std::ssize(answer.tokens) < predict_max) {
    const int row = speculator_ == nullptr ? -1 : speculator_->row();
    const llama_token token = common_sampler_sample(sampler_.get(), engine_.context(), row);
    common_sampler_accept(sampler_.get(), token, true);
    if (answer.tokens.empty()) {
      first_token = now_seconds();
      answer.first_token_seconds = now_seconds() - start;
      answer.first_token_stats = engine_.stats();
    }
    if (llama_vocab_is_eog(engine_.vocab(), token)) {
      answer.stop = StopReason::end_of_text;
      break;
    }
    answer.tokens.push_back(token);
    const size_t before = answer.text.size();
    const bool special = engine_.params().special || syntax_.shown.contains(token);
    const std::string complete =
        stream.push(common_token_to_piece(engine_.context(), token, special));
    answer.text += complete;
    const size_t stop_word =
        std::min(find_stop_word(answer.text, before, engine_.params().antiprompt),
                 find_stop_word(answer.text, before, syntax_.stop_words));
    if (stop_word != std::string::npos) {
      answer.text.erase(stop_word);
      answer.stop = StopReason::stop_word;
      if (stop_word > before) on_text(answer.text.substr(before));
      break;
    }
    if (!complete.empty()) on_text(complete);
    if (predict_max >= 0 && std::ssize(answer.tokens) == predict_max) break;
    if (std::cmp_greater_equal(history_.size(), llama_n_ctx(engine_.context())) && !make_room()) {
      answer.stop = StopReason::context_full;
      break;
    }
    const int more = predict_max < 0 ? std::numeric_limits<int>::max()
                                     : predict_max - static_cast<int>(answer.tokens.size());
    status = add_token(token, more);
    if (status.code() == StatusCode::interrupted || engine_.interrupted()) {
      forget_unfinished();
      answer.stop = StopReason::interrupted;
      break;
    }
    if (!status.ok()) return status;
  }
  if (speculator_ != nullptr) {
    if (status = speculator_->end_answer(history_); !status.ok()) return status;
    answer.draft = speculator_->stats();
  }
  if (const std::string rest = stream.finish(); !rest.empty()) {
    answer.text += rest;
    on_text(rest);
  }
  if (answer.tokens.size() > 1) answer.decode_seconds = now_seconds() - first_token;
  return answer;
}

Status Session::process_prompt(const std::vector<llama_token>& prompt) {
  const uint32_t context = llama_n_ctx(engine_.context());
  if (history_.size() + prompt.size() >= context) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("the prompt has {} tokens, and {} of the context's {} are left",
                              prompt.size(), context - std::min<size_t>(context, history_.size()),
                              context))
        .suggest("a larger --ctx, or a shorter prompt");
  }
  const size_t batch_max = llama_n_batch(engine_.context());
  for (size_t first = 0; first < prompt.size(); first += batch_max) {
    const size_t count = std::min(batch_max, prompt.size() - first);
    std::vector<llama_token> tokens(prompt.begin() + static_cast<ptrdiff_t>(first),
                                    prompt.begin() + static_cast<ptrdiff_t>(first + count));
    if (Status status = engine_.decode(
            llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size())));
        !status.ok()) {
      return status;
    }
    history_.insert(history_.end(), tokens.begin(), tokens.end());
  }
  for (const llama_token token : prompt) common_sampler_accept(sampler_.get(), token, false);
  return Status();
}

// Models with an encoder read the prompt there, and the decoder starts with a token of its own.
Status Session::process_encoder_prompt(const std::vector<llama_token>& prompt) {
  std::vector<llama_token> tokens = prompt;
  if (Status status = engine_.encode(
          llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size())));
      !status.ok()) {
    return status;
  }
  llama_token start = llama_model_decoder_start_token(engine_.model());
  if (start == LLAMA_TOKEN_NULL) start = llama_vocab_bos(engine_.vocab());
  return add_token(start, 0);
}

Status Session::add_token(llama_token token, int more) {
  // The last token of an answer needs no pass of the model, so one less can be drafted.
  if (speculator_ != nullptr) return speculator_->add_token(token, history_, more - 1);
  const Status status = engine_.decode(llama_batch_get_one(&token, 1));
  if (status.ok()) history_.push_back(token);
  return status;
}

// An interrupted batch may have left tokens in the KV cache that the history does not have.
void Session::forget_unfinished() {
  if (llama_memory_t memory = llama_get_memory(engine_.context())) {
    llama_memory_seq_rm(memory, 0, static_cast<llama_pos>(history_.size()), -1);
  }
}

// Drops the older half of the context, but for its first tokens, if the user asked for that.
bool Session::make_room() {
  llama_memory_t memory = llama_get_memory(engine_.context());
  const common_params& params = engine_.params();
  if (!params.ctx_shift || !llama_memory_can_shift(memory)) return false;
  const int32_t count = static_cast<int32_t>(history_.size());
  const int32_t keep = std::clamp(params.n_keep, 0, count - 1);
  const int32_t dropped = std::max(1, (count - keep) / 2);
  llama_memory_seq_rm(memory, 0, keep, keep + dropped);
  llama_memory_seq_add(memory, 0, keep + dropped, count, -dropped);
  history_.erase(history_.begin() + keep, history_.begin() + keep + dropped);
  return true;
}

size_t Session::keep(const std::vector<llama_token>& text) {
  const size_t same = static_cast<size_t>(
      std::mismatch(history_.begin(), history_.end(), text.begin(), text.end()).first -
      history_.begin());
  const size_t kept = std::min(same, text.size() - 1);
  if (kept == history_.size()) return kept;
  if (!can_go_back_to(kept) ||
      !llama_memory_seq_rm(llama_get_memory(engine_.context()), 0, static_cast<llama_pos>(kept),
                           -1)) {
    forget_all();
    return 0;
  }
  history_.resize(kept);
  remind_sampler();
  return kept;
}

// A window of attention has forgotten what lies far behind the last token.
bool Session::can_go_back_to(size_t count) const {
  const llama_memory_t memory = llama_get_memory(engine_.context());
  if (memory == nullptr) return false;
  const int32_t window = llama_model_n_swa(engine_.model());
  if (window <= 0) return true;
  const llama_pos first_needed = std::max(0, static_cast<llama_pos>(count) - window);
  return llama_memory_seq_pos_min(memory, 0) <= first_needed;
}

void Session::forget_all() {
  if (llama_memory_t memory = llama_get_memory(engine_.context())) {
    llama_memory_clear(memory, true);
  }
  history_.clear();
  remind_sampler();
}

// Penalties look at what was said before.
void Session::remind_sampler() {
  common_sampler_reset(sampler_.get());
  for (const llama_token token : history_) common_sampler_accept(sampler_.get(), token, false);
}

Status Session::set_sampling(const common_params_sampling& sampling) {
  Result<common_sampler_ptr> sampler = make_sampler(engine_.model(), sampling);
  if (!sampler.ok()) return sampler.status();
  sampler_ = *std::move(sampler);
  remind_sampler();
  return Status();
}

Status Session::save_state(const std::string& path) const {
  errno = 0;
  if (llama_state_seq_save_file(engine_.context(), path.c_str(), 0, history_.data(),
                                history_.size()) > 0) {
    return Status();
  }
  return Status(StatusCode::failed, fmt::format("cannot write {}", path))
      .because(errno != 0 ? std::strerror(errno) : "llama.cpp has no state of this model");
}

Status Session::load_state(const std::string& path) {
  forget_all();
  std::vector<llama_token> tokens(llama_n_ctx(engine_.context()));
  size_t count = 0;
  const size_t read = llama_state_seq_load_file(engine_.context(), path.c_str(), 0, tokens.data(),
                                                tokens.size(), &count);
  if (read == 0) {
    forget_all();
    return Status(StatusCode::failed, fmt::format("llama.cpp cannot read {}", path));
  }
  tokens.resize(count);
  history_ = std::move(tokens);
  remind_sampler();
  return Status();
}

}  // namespace hypura
