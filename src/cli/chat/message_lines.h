#pragma once

#include <string>

namespace hypura::cli {

// Lines that make one message: a line alone, lines that end with a backslash and the one behind
// them, or all between """ and """.
class MessageLines {
 public:
  // True if the message is complete.
  bool add(const std::string& line);
  // Whether more lines are awaited.
  bool begun() const { return block_ || continued_; }
  // What was added, complete or not; from here on it is another message.
  std::string take();

 private:
  std::string text_;
  bool block_ = false;
  bool continued_ = false;
};

}  // namespace hypura::cli
