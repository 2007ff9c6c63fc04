#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/chat/conversation.h"
#include "cli/chat/settings.h"
#include "engine/engine.h"
#include "engine/session.h"

namespace hypura::cli {

// One answer of a chat, and what it took.
struct ChatTurn {
  Answer answer;
  uint64_t kept_tokens = 0;  // of the prompt, that the context had already
  EngineStats before;
  EngineStats after;
};

// A chat with one model: what is said goes to it in its template, and of every prompt it computes
// only what its context does not have. If the context is full, the oldest turns are forgotten.
// Used by one thread; the engine outlives it.
class Dialogue {
 public:
  static Result<std::unique_ptr<Dialogue>> create(Engine& engine);

  // Answers on stdout. Errors: invalid_argument and failed for a message that cannot be given to
  // the model, and it is as if it had not been said; otherwise whatever ends the chat.
  Status say(const std::string& message);
  // Errors: invalid_argument, and nothing has changed.
  Status change(const std::vector<std::string>& words);

  // Whether the last error of say() is about the message alone.
  bool can_go_on() const { return can_go_on_; }
  Conversation& conversation() { return conversation_; }
  Session& session() { return *session_; }
  size_t context_tokens() const { return session_->history().size(); }
  const Engine& engine() const { return engine_; }
  const ChatSettings& settings() const { return settings_; }
  const std::vector<ChatTurn>& turns() const { return turns_; }
  // What the context holds was put there by somebody else.
  void forget_text() { known_.reset(); }

 private:
  Dialogue(Engine& engine, std::unique_ptr<Session> session, Conversation conversation);

  Result<std::vector<llama_token>> fit();
  Result<std::vector<llama_token>> encode(const ChatPrompt& prompt) const;
  AnswerSyntax syntax_of(const ChatPrompt& prompt) const;
  Status answer(const std::vector<llama_token>& prompt);
  void learn(const std::vector<llama_token>& prompt, const Answer& answer);

  Engine& engine_;
  std::unique_ptr<Session> session_;
  Conversation conversation_;
  ChatSettings settings_;
  std::vector<ChatTurn> turns_;
  ChatPrompt prompt_;
  // All that was said and the tokens that it was said in, where they are known to the letter: a
  // longer text adds to these tokens, though it might be cut into others.
  struct Said {
    std::string text;
    std::vector<llama_token> tokens;
  };
  std::optional<Said> known_;
  bool can_go_on_ = true;
};

}  // namespace hypura::cli
