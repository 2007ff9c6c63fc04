#include "cli/chat/dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/chat/answer_view.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/tokens.h"

namespace hypura::cli {
namespace {

// Of the context, what an answer is to have room for.
constexpr uint32_t kAnswerShare = 4;
// Once turns have to be forgotten, so much of the context is freed: each time the rest is computed
// anew.
constexpr uint32_t kFreedShare = 2;

}  // namespace

Result<std::unique_ptr<Dialogue>> Dialogue::create(Engine& engine) {
  Result<std::unique_ptr<Session>> session = Session::create(engine);
  if (!session.ok()) return session.status();
  Result<Conversation> conversation = Conversation::create(engine);
  if (!conversation.ok()) return conversation.status();
  return std::unique_ptr<Dialogue>(
      new Dialogue(engine, *std::move(session), *std::move(conversation)));
}

Dialogue::Dialogue(Engine& engine, std::unique_ptr<Session> session, Conversation conversation)
    : engine_(engine), session_(std::move(session)), conversation_(std::move(conversation)) {
  settings_ = {.sampling = engine.params().sampling,
               .predict_max = engine.params().n_predict,
               .thinking = engine.params().enable_reasoning != 0};
}

Status Dialogue::change(const std::vector<std::string>& words) {
  ChatSettings changed = settings_;
  if (Status status = change_setting(words, changed); !status.ok()) return status;
  if (Status status = session_->set_sampling(changed.sampling); !status.ok()) return status;
  conversation_.set_thinking(changed.thinking && conversation_.can_think());
  settings_ = std::move(changed);
  return Status();
}

Status Dialogue::say(const std::string& message) {
  conversation_.add("user", message);
  const Result<std::vector<llama_token>> tokens = fit();
  can_go_on_ = !tokens.ok();
  if (!tokens.ok()) {
    static_cast<void>(conversation_.take_last_turn());
    return tokens.status();
  }
  return answer(*tokens);
}

// The tokens of all that was said, with room for an answer: turns are forgotten for it.
Result<std::vector<llama_token>> Dialogue::fit() {
  const uint32_t context = llama_n_ctx(engine_.context());
  const uint32_t room = std::min(
      context / kAnswerShare,
      settings_.predict_max < 0 ? context : static_cast<uint32_t>(settings_.predict_max));
  uint64_t limit = context - room;
  size_t forgotten = 0;
  while (true) {
    Result<ChatPrompt> prompt = conversation_.prompt();
    if (!prompt.ok()) return prompt.status();
    Result<std::vector<llama_token>> tokens = encode(*prompt);
    if (!tokens.ok()) return tokens;
    if (tokens->size() > limit && conversation_.drop_oldest_turn()) {
      limit = context - context / kFreedShare;
      ++forgotten;
      continue;
    }
    if (tokens->size() >= context) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("the message and what stands before it have {} tokens, and the "
                                "context has {}",
                                tokens->size(), context))
          .suggest("a shorter message, or a larger --ctx");
    }
    if (forgotten > 0) {
      write_note(fmt::format("the context of {} tokens is full: the oldest {} forgotten\n", context,
                             forgotten == 1 ? "turn is"
                                            : fmt::format("{} turns are", forgotten)));
    }
    prompt_ = *std::move(prompt);
    return tokens;
  }
}

Result<std::vector<llama_token>> Dialogue::encode(const ChatPrompt& prompt) const {
  if (!known_.has_value() || !prompt.text.starts_with(known_->text)) {
    return tokenize(engine_, prompt.text, true);
  }
  Result<std::vector<llama_token>> added =
      tokenize(engine_, prompt.text.substr(known_->text.size()), false);
  if (!added.ok()) return added;
  std::vector<llama_token> tokens = known_->tokens;
  tokens.insert(tokens.end(), added->begin(), added->end());
  return tokens;
}

AnswerSyntax Dialogue::syntax_of(const ChatPrompt& prompt) const {
  AnswerSyntax syntax{.stop_words = prompt.stop_words, .shown = {}};
  for (const std::string& text : prompt.special) {
    const std::vector<llama_token> tokens = common_tokenize(engine_.vocab(), text, false, true);
    if (tokens.size() == 1) syntax.shown.insert(tokens[0]);
  }
  return syntax;
}

Status Dialogue::answer(const std::vector<llama_token>& prompt) {
  ChatTurn turn{.before = engine_.stats()};
  // What the model's memory has may lie in a window that it cannot go back to.
  turn.kept_tokens = llama_model_has_encoder(engine_.model()) ? 0 : session_->keep(prompt);
  session_->set_syntax(syntax_of(prompt_));
  known_.reset();
  AnswerView view(prompt_.syntax, conversation_.has_template());
  bool written = true;
  Result<Answer> answer = session_->answer(
      {prompt.begin() + static_cast<ptrdiff_t>(turn.kept_tokens), prompt.end()},
      settings_.predict_max, [&](const std::string& text) {
        written = written && view.push(text);
        if (!written) interrupt_flag().store(true);
      });
  if (!answer.ok()) return answer.status();
  written = written && view.finish(answer->stop != StopReason::interrupted);
  if (!written) return write_failure();
  turn.answer = *std::move(answer);
  turn.after = engine_.stats();
  conversation_.add(view.message());
  learn(prompt, turn.answer);
  turns_.push_back(std::move(turn));
  return Status();
}

void Dialogue::learn(const std::vector<llama_token>& prompt, const Answer& answer) {
  switch (answer.stop) {
    case StopReason::end_of_text:
    case StopReason::length:
      known_ = {.text = prompt_.text + answer.text, .tokens = prompt};
      known_->tokens.insert(known_->tokens.end(), answer.tokens.begin(), answer.tokens.end());
      break;
    case StopReason::context_full:
      write_note(fmt::format("the context of {} tokens is full: the answer ends here\n",
                             llama_n_ctx(engine_.context())));
      break;
    case StopReason::interrupted:
    case StopReason::stop_word: break;
  }
  // A Ctrl-C ends an answer, not the chat; it may have come as the answer ended by itself.
  if (!asked_to_end()) interrupt_flag().store(false);
}

}  // namespace hypura::cli
