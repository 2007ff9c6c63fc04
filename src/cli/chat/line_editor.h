#pragma once

#include <memory>
#include <string>
#include <vector>

namespace hypura::cli {

// How waiting for a line ended.
enum class LineEnd : uint8_t { line, interrupted, end_of_input };

struct TypedLine {
  LineEnd end = LineEnd::end_of_input;
  std::string text;  // without its end
};

// Lines that a person types on the terminal, with editing, history and completion by libedit.
// Prompt and echo go to stderr. One at a time, used by one thread.
class LineEditor {
 public:
  using Completer = std::vector<std::string> (*)(const std::string& line);

  // What was typed before is read from `history_file`, which may be empty. Null unless stdin and
  // stderr are terminals and libedit is there.
  static std::unique_ptr<LineEditor> create(std::string history_file, Completer completer);
  virtual ~LineEditor() = default;

  // `prompt` outlives the call. A Ctrl-C leaves the interrupt flag as the signal set it.
  virtual TypedLine read(const char* prompt) = 0;
  // Adds a message to the history, and writes the file: for its user alone, and capped.
  virtual void remember(const std::string& message) = 0;
};

}  // namespace hypura::cli
