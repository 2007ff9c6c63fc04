#include "cli/chat/message_lines.h"

#include <string_view>
#include <utility>

namespace hypura::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

}  // namespace

bool MessageLines::add(const std::string& line) {
  std::string_view rest = line;
  if (!begun() && rest.starts_with(kQuotes)) {
    block_ = true;
    rest.remove_prefix(kQuotes.size());
    if (rest.empty()) return false;
  } else if (begun() && !text_.empty()) {
    text_ += '\n';
  }
  if (block_) {
    block_ = !rest.ends_with(kQuotes);
    if (!block_) rest.remove_suffix(kQuotes.size());
    text_ += rest;
    return !block_;
  }
  continued_ = rest.ends_with('\\');
  if (continued_) rest.remove_suffix(1);
  text_ += rest;
  return !continued_;
}

std::string MessageLines::take() {
  block_ = continued_ = false;
  return std::exchange(text_, {});
}

}  // namespace hypura::cli
