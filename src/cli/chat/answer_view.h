#pragma once

#include <string>

#include "chat.h"

namespace hypura::cli {

// Shows an answer while it comes: what the model says goes to stdout, what it thinks, dimmed on a
// terminal, to stderr, and a call of a tool as one line.
class AnswerView {
 public:
  // Text of a model without a chat template is shown as it is.
  AnswerView(common_chat_parser_params syntax, bool has_template);

  // Complete UTF-8. False if stdout cannot be written.
  bool push(const std::string& text);
  // No more text comes, because the answer is complete or not. False as above.
  bool finish(bool complete);
  const common_chat_msg& message() const { return message_; }

 private:
  bool update(bool partial);
  bool show(const common_chat_msg_diff& change);
  void end_thinking();

  common_chat_parser_params syntax_;
  bool parse_;
  std::string text_;
  common_chat_msg message_;
  bool thinking_ = false;  // stderr's last words are thoughts
};

// Whether stderr takes colours: a terminal, and NO_COLOR is not set.
bool notes_have_colour();

}  // namespace hypura::cli
