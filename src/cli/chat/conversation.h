#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "chat.h"
#include "engine/engine.h"

namespace hypura::cli {

// What the model is to continue, and how its answer is to be read.
struct ChatPrompt {
  std::string text;  // from the first message on, up to where the assistant answers
  common_chat_parser_params syntax;
  std::vector<std::string> stop_words;
  std::vector<std::string> special;  // texts of tokens that the answer's parser wants to see
};

// The messages of a chat, and their text in the model's chat template. A model without one gets
// them one after the other as they are.
class Conversation {
 public:
  // The system prompt is the engine's. Errors: invalid_argument if the template cannot be used.
  // The engine outlives it.
  static Result<Conversation> create(const Engine& engine);

  bool has_template() const { return templates_ != nullptr; }
  const std::vector<common_chat_msg>& messages() const { return messages_; }
  void replace_messages(std::vector<common_chat_msg> messages) { messages_ = std::move(messages); }

  void add(common_chat_msg message) { messages_.push_back(std::move(message)); }
  void add(const std::string& role, const std::string& content);
  // Replaces the system prompt; an empty one is none.
  void set_system(const std::string& content);
  // All but the system prompt goes.
  void clear();
  // Takes the last user message and what followed back; nullopt if there is none.
  std::optional<std::string> take_last_turn();
  // The oldest user message and what followed it go. False if it is the last one.
  bool drop_oldest_turn();

  void set_thinking(bool on) { thinking_ = on; }
  bool can_think() const;

  // Errors: failed if the template refuses the messages.
  Result<ChatPrompt> prompt() const;

 private:
  explicit Conversation(const Engine& engine) : engine_(&engine) {}

  const Engine* engine_;
  common_chat_templates_ptr templates_;  // null: the model has none
  std::vector<common_chat_msg> messages_;
  bool thinking_ = true;
};

// One user message, with the system prompt if there is one, in the model's chat template.
// Errors: invalid_argument if the model has none, or it cannot be applied.
Result<std::string> single_message(const Engine& engine, const std::string& message);

}  // namespace hypura::cli
