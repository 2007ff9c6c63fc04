#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion/script.h"

namespace hypura::cli {
namespace {

constexpr const char* kStart =
    R"(# Completes hypura in fish. In ~/.config/fish/completions/hypura.fish
function __hypura_models
  hypura list 2>/dev/null | awk 'NR > 1 { print $1 }'
  __fish_complete_suffix .gguf
end
function __hypura_is
  set -l typed (commandline -poc)
  test (count $typed) -gt 1; and test $typed[2] = $argv[1]
end
complete -c hypura -f
)";
constexpr const char* kFirst = "complete -c hypura -n 'test (count (commandline -poc)) -eq 1'";

std::string in_quotes(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

// What can be typed, as arguments of `complete`.
std::string offers(const TypedValue& value) {
  std::string list = fmt::format("{}", fmt::join(value.words, " "));
  if (value.paths == TypedValue::Paths::folders) list += " (__fish_complete_directories)";
  if (value.paths == TypedValue::Paths::models) list += " (__hypura_models)";
  std::string text = value.paths == TypedValue::Paths::files ? " -F" : " -f";
  if (!list.empty()) text += " -a " + in_quotes(list);
  return text;
}

std::string name_switch(const std::string& name) {
  if (name.starts_with("--")) return " -l " + name.substr(2);
  return (name.size() == 2 ? " -s " : " -o ") + name.substr(1);
}

std::string lines(const CommandDescription& command, const std::vector<std::string>& names) {
  const std::string start = fmt::format("complete -c hypura -n '__hypura_is {}'", command.name);
  std::string text;
  if (const TypedValue words = typed_words(command, names); !words.nothing()) {
    text += start + offers(words) + "\n";
  }
  for (const OptionDescription& option : all_options(command)) {
    text += start;
    for (const std::string& name : option.names) text += name_switch(name);
    if (!option.value.empty()) text += " -r" + offers(typed_value(option.value));
    text += " -d " + in_quotes(in_short(option.help)) + "\n";
  }
  return text;
}

}  // namespace

std::string fish_script(const std::vector<CommandDescription>& commands) {
  const std::vector<std::string> names = names_of(commands);
  std::string text = kStart;
  for (const CommandDescription& command : commands) {
    const std::string what = in_quotes(in_short(command.text));
    text += fmt::format("{} -a {} -d {}\n", kFirst, command.name, what);
  }
  text += fmt::format("{} -a help\n{} -s h -l help\n{} -l version\n", kFirst, kFirst, kFirst);
  for (const CommandDescription& command : commands) text += lines(command, names);
  return text;
}

}  // namespace hypura::cli
