#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/chat/line_editor.h"
#include "cli/chat/message_lines.h"

namespace hypura::cli {

// The messages that come on stdin: from a person's terminal with editing and history, else line by
// line. On a terminal Ctrl-C clears what is typed, and twice in a row ends the chat.
class MessageReader {
 public:
  explicit MessageReader(std::string history_file);

  // nullopt: the chat ends.
  std::optional<std::string> read();

 private:
  TypedLine read_line();

  std::unique_ptr<LineEditor> editor_;  // null where nobody types
  MessageLines lines_;
};

}  // namespace hypura::cli
