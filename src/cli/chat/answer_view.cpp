#include "cli/chat/answer_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <utility>

#include "cli/terminal.h"

namespace hypura::cli {
namespace {

constexpr const char* kDim = "\033[2m";
constexpr const char* kPlain = "\033[0m";

}  // namespace

bool notes_have_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0');
}

AnswerView::AnswerView(common_chat_parser_params syntax, bool has_template)
    : syntax_(std::move(syntax)), parse_(has_template && !syntax_.parser.empty()) {
  message_.role = "assistant";
}

bool AnswerView::push(const std::string& text) {
  text_ += text;
  if (parse_) return update(true);
  message_.content += text;
  return write_answer(text);
}

bool AnswerView::finish(bool complete) {
  const bool written = !parse_ || update(!complete);
  end_thinking();
  for (const common_chat_tool_call& call : message_.tool_calls) {
    if (!write_answer(fmt::format("\ncalls {}({})", call.name, call.arguments))) return false;
  }
  return write_answer("\n") && written;
}

bool AnswerView::update(bool partial) {
  common_chat_msg now;
  try {
    now = common_chat_parse(text_, partial, syntax_);
    for (const common_chat_msg_diff& change :
         common_chat_msg_diff::compute_diffs(message_, now)) {
      if (!show(change)) return false;
    }
  } catch (const std::exception&) {
    // Not the format that the template promised. While it comes, the rest may yet make sense of it;
    // at the end it is shown as it was said.
    if (partial) return true;
    now = message_;
    if (message_.content.empty() && message_.reasoning_content.empty() &&
        message_.tool_calls.empty()) {
      now.content = text_;
      if (!write_answer(text_)) return false;
    }
  }
  message_ = std::move(now);
  message_.role = "assistant";
  return true;
}

bool AnswerView::show(const common_chat_msg_diff& change) {
  if (!change.reasoning_content_delta.empty()) {
    if (!std::exchange(thinking_, true) && notes_have_colour()) write_note(kDim);
    write_note(change.reasoning_content_delta);
  }
  if (change.content_delta.empty()) return true;
  end_thinking();
  return write_answer(change.content_delta);
}

void AnswerView::end_thinking() {
  if (!std::exchange(thinking_, false)) return;
  write_note(notes_have_colour() ? fmt::format("{}\n\n", kPlain) : "\n\n");
}

}  // namespace hypura::cli
