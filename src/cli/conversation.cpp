#include "cli/conversation.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "chat.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/tokens.h"
#include "engine/session.h"

namespace hypura::cli {
namespace {

bool has_template(const Engine& engine) {
  return engine.index().info().has_chat_template || !engine.params().chat_template.empty();
}

// The messages so far, and what the model has been given of them.
class Conversation {
 public:
  explicit Conversation(const Engine& engine)
      : engine_(engine),
        templates_(common_chat_templates_init(engine.model(), engine.params().chat_template)) {
    if (!engine.params().system_prompt.empty()) {
      add("system", engine.params().system_prompt);
    }
  }

  void add(const std::string& role, const std::string& content) {
    common_chat_msg message;
    message.role = role;
    message.content = content;
    messages_.push_back(std::move(message));
  }

  // The template's text from the first message on, up to where the assistant answers.
  std::string text() const {
    common_chat_templates_inputs inputs;
    inputs.messages = messages_;
    inputs.use_jinja = engine_.params().use_jinja;
    return common_chat_templates_apply(templates_.get(), inputs).prompt;
  }

  // Text that this user message adds to what the model has already seen.
  std::string add_user(const std::string& content) {
    if (messages_.empty() || messages_.back().role == "system") {
      add("user", content);
      return text();
    }
    common_chat_msg message;
    message.role = "user";
    message.content = content;
    const std::string added = common_chat_format_single(templates_.get(), messages_, message, true,
                                                        engine_.params().use_jinja);
    messages_.push_back(std::move(message));
    return added;
  }

 private:
  const Engine& engine_;
  common_chat_templates_ptr templates_;
  std::vector<common_chat_msg> messages_;
};

std::optional<std::string> read_line() {
  if (isatty(STDIN_FILENO) != 0) write_note("> ");
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

}  // namespace

Status chat(Engine& engine) {
  Result<std::unique_ptr<Session>> session = Session::create(engine);
  if (!session.ok()) return session.status();
  std::optional<Conversation> conversation;
  if (has_template(engine)) {
    try {
      conversation.emplace(engine);
    } catch (const std::exception& error) {
      return Status(StatusCode::invalid_argument, "the chat template cannot be used")
          .because(error.what())
          .suggest("--chat-template chatml");
    }
  } else {
    write_note("this model has no chat template: it continues what you write\n");
  }

  std::optional<std::string> line;
  if (!engine.params().prompt.empty()) line = engine.params().prompt;
  bool first = true;
  while (line || (line = read_line())) {
    if (*line == "/quit" || interrupt_flag().load()) break;
    if (line->empty()) {
      line.reset();
      continue;
    }
    std::string prompt = *line;
    try {
      if (conversation) prompt = conversation->add_user(*line);
    } catch (const std::exception& error) {
      return Status(StatusCode::failed, "the chat template cannot be applied")
          .because(error.what());
    }
    Result<std::vector<llama_token>> tokens = tokenize(engine, prompt, first);
    if (!tokens.ok()) return tokens.status();
    first = false;
    line.reset();
    if (tokens->empty()) continue;
    Result<Answer> answer =
        (*session)->answer(*tokens, engine.params().n_predict, [](const std::string& text) {
          if (!write_answer(text)) interrupt_flag().store(true);
        });
    if (!answer.ok()) return answer.status();
    if (!write_answer("\n")) return write_failure();
    if (conversation) conversation->add("assistant", answer->text);
    if (answer->stop == StopReason::context_full) {
      return Status(StatusCode::failed,
                    fmt::format("the context of {} tokens is full", llama_n_ctx(engine.context())))
          .suggest("a larger --ctx, or --context-shift");
    }
    // A Ctrl-C ended this answer, not the conversation.
    if (answer->stop == StopReason::interrupted) interrupt_flag().store(false);
  }
  return Status();
}

Result<std::string> single_message(const Engine& engine, const std::string& message) {
  if (!has_template(engine)) {
    return Status(StatusCode::invalid_argument, "-cnv: this model has no chat template")
        .suggest("--chat-template chatml, or the prompt without -cnv");
  }
  try {
    Conversation conversation(engine);
    return conversation.add_user(message);
  } catch (const std::exception& error) {
    return Status(StatusCode::invalid_argument, "the chat template cannot be applied")
        .because(error.what())
        .suggest("--chat-template chatml");
  }
}

}  // namespace hypura::cli
