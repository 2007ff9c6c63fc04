#include "cli/chat/conversation.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace hypura::cli {
namespace {

using Messages = std::vector<common_chat_msg>;

bool is_user(const common_chat_msg& message) { return message.role == "user"; }

Messages::iterator first_turn(Messages& messages) {
  return std::find_if(messages.begin(), messages.end(), is_user);
}

Status unusable_template(StatusCode code, const std::exception& error) {
  return Status(code, "the chat template cannot be applied")
      .because(error.what())
      .suggest("--chat-template chatml");
}

}  // namespace

Result<Conversation> Conversation::create(const Engine& engine) {
  Conversation conversation(engine);
  const common_params& params = engine.params();
  if (engine.index().info().has_chat_template || !params.chat_template.empty()) {
    try {
      conversation.templates_ = common_chat_templates_init(engine.model(), params.chat_template);
    } catch (const std::exception& error) {
      return unusable_template(StatusCode::invalid_argument, error);
    }
  }
  conversation.thinking_ = params.enable_reasoning != 0 && conversation.can_think();
  conversation.set_system(params.system_prompt);
  return conversation;
}

void Conversation::add(const std::string& role, const std::string& content) {
  common_chat_msg message;
  message.role = role;
  message.content = content;
  add(std::move(message));
}

void Conversation::set_system(const std::string& content) {
  if (!messages_.empty() && messages_.front().role == "system") messages_.erase(messages_.begin());
  if (content.empty()) return;
  common_chat_msg message;
  message.role = "system";
  message.content = content;
  messages_.insert(messages_.begin(), std::move(message));
}

void Conversation::clear() { messages_.erase(first_turn(messages_), messages_.end()); }

std::optional<std::string> Conversation::take_last_turn() {
  const auto last = std::find_if(messages_.rbegin(), messages_.rend(), is_user);
  if (last == messages_.rend()) return std::nullopt;
  std::string content = last->content;
  messages_.erase(last.base() - 1, messages_.end());
  return content;
}

bool Conversation::drop_oldest_turn() {
  const auto first = first_turn(messages_);
  if (first == messages_.end()) return false;
  const auto second = std::find_if(first + 1, messages_.end(), is_user);
  if (second == messages_.end()) return false;
  messages_.erase(first, second);
  return true;
}

bool Conversation::can_think() const {
  return has_template() && common_chat_templates_support_enable_thinking(templates_.get());
}

Result<ChatPrompt> Conversation::prompt() const {
  ChatPrompt prompt;
  if (!has_template()) {
    for (const common_chat_msg& message : messages_) prompt.text += message.content;
    return prompt;
  }
  common_chat_templates_inputs inputs;
  inputs.messages = messages_;
  inputs.use_jinja = engine_->params().use_jinja;
  inputs.reasoning_format = engine_->params().reasoning_format;
  inputs.enable_thinking = thinking_;
  try {
    common_chat_params applied = common_chat_templates_apply(templates_.get(), inputs);
    prompt.syntax = common_chat_parser_params(applied);
    prompt.syntax.reasoning_format = inputs.reasoning_format;
    if (!applied.parser.empty()) prompt.syntax.parser.load(applied.parser);
    prompt.text = std::move(applied.prompt);
    prompt.stop_words = std::move(applied.additional_stops);
    prompt.special = std::move(applied.preserved_tokens);
  } catch (const std::exception& error) {
    return unusable_template(StatusCode::failed, error);
  }
  return prompt;
}

Result<std::string> single_message(const Engine& engine, const std::string& message) {
  Result<Conversation> conversation = Conversation::create(engine);
  if (!conversation.ok()) return conversation.status();
  if (!conversation->has_template()) {
    return Status(StatusCode::invalid_argument, "-cnv: this model has no chat template")
        .suggest("--chat-template chatml, or the prompt without -cnv");
  }
  conversation->add("user", message);
  Result<ChatPrompt> prompt = conversation->prompt();
  if (!prompt.ok()) return prompt.status();
  return std::move(prompt->text);
}

}  // namespace hypura::cli
