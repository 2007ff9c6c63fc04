#include "cli/chat/message_reader.h"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "cli/chat/slash_command.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

constexpr const char* kPrompt = "> ";
constexpr const char* kMorePrompt = "... ";

// Nothing to complete in what is said to the model.
std::vector<std::string> complete(const std::string& line) {
  return line.starts_with('/') ? complete_slash(line) : std::vector<std::string>();
}

}  // namespace

MessageReader::MessageReader(std::string history_file)
    : editor_(LineEditor::create(std::move(history_file), complete)) {}

TypedLine MessageReader::read_line() {
  const char* prompt = lines_.begun() ? kMorePrompt : kPrompt;
  if (editor_ != nullptr) return editor_->read(prompt);
  if (isatty(STDIN_FILENO) != 0) write_note(prompt);
  std::string line;
  if (!std::getline(std::cin, line)) return {};
  return {.end = LineEnd::line, .text = std::move(line)};
}

std::optional<std::string> MessageReader::read() {
  bool interrupted = false;
  while (true) {
    const TypedLine line = read_line();
    if (asked_to_end() || (editor_ == nullptr && interrupt_flag().load())) return std::nullopt;
    if (line.end == LineEnd::interrupted) {
      interrupt_flag().store(false);
      lines_.take();
      if (std::exchange(interrupted, true)) return std::nullopt;
      write_note("Ctrl-C again or /quit ends the chat\n");
      continue;
    }
    interrupted = false;
    if (line.end == LineEnd::end_of_input) {
      std::string unfinished = lines_.take();
      if (unfinished.empty()) return std::nullopt;
      return unfinished;
    }
    if (!lines_.add(line.text)) continue;
    std::string message = lines_.take();
    if (message.find_first_not_of(" \t\n") == std::string::npos) continue;
    if (editor_ != nullptr) editor_->remember(message);
    return message;
  }
}

}  // namespace hypura::cli
