#include "cli/completion/typed_value.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace hypura::cli {
namespace {

constexpr std::string_view kWordCharacters = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
constexpr std::array<std::string_view, 3> kBrackets = {"[]", "{}", "<>"};
constexpr std::array<std::string_view, 5> kFiles = {"FILE", "FNAME", "PATH", "HEADER",
                                                    "JINJA_TEMPLATE_FILE"};

bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kWordCharacters) == std::string_view::npos &&
         text.find("..") == std::string_view::npos;
}

std::vector<std::string_view> alternatives(std::string_view text) {
  std::string_view separators = "|";
  if (text.ends_with("...")) text.remove_suffix(3);
  for (const std::string_view pair : kBrackets) {
    if (!text.starts_with(pair[0]) || !text.ends_with(pair[1])) continue;
    text = text.substr(1, text.size() - 2);
    if (pair == "{}") separators = "|, ";
  }
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

void TypedValue::add(const TypedValue& other) {
  words.insert(words.end(), other.words.begin(), other.words.end());
  if (paths == Paths::none) paths = other.paths;
  commands = commands || other.commands;
}

TypedValue typed_value(const std::string& stands_for) {
  const std::vector<std::string_view> parts = alternatives(stands_for);
  TypedValue value;
  for (const std::string_view part : parts) {
    if (part == "MODEL") {
      value.paths = TypedValue::Paths::models;
    } else if (part == "DIR") {
      value.paths = TypedValue::Paths::folders;
    } else if (std::find(kFiles.begin(), kFiles.end(), part) != kFiles.end()) {
      if (value.paths == TypedValue::Paths::none) value.paths = TypedValue::Paths::files;
    } else if (part == "COMMAND") {
      value.commands = true;
    } else if (parts.size() > 1 && is_word(part)) {
      // One alone stands for something: "lo-hi".
      value.words.emplace_back(part);
    }
  }
  return value;
}

const char* to_string(TypedValue::Paths paths) {
  switch (paths) {
    case TypedValue::Paths::none: return "none";
    case TypedValue::Paths::files: return "files";
    case TypedValue::Paths::folders: return "folders";
    case TypedValue::Paths::models: return "models";
  }
  return "none";
}

}  // namespace hypura::cli
