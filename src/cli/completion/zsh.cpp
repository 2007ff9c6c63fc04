#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion/script.h"

namespace hypura::cli {
namespace {

constexpr const char* kStart = R"zsh(#compdef hypura
# Completes hypura in zsh. From ~/.zshrc, after compinit: source <(hypura completion zsh)

# A kind of paths, and words.
_hypura_value() {
  local paths=$1
  shift
  if [[ $paths == models ]]; then
    set -- "$@" ${(f)"$(hypura list 2>/dev/null | awk 'NR > 1 { print $1 }')"}
  fi
  (( $# )) && compadd -- "$@"
  case $paths in
    files) _files ;;
    folders) _files -/ ;;
    models) _files -g '*.gguf' ;;
  esac
}

_hypura() {
  local curcontext=$curcontext state
  local -a commands
)zsh";

constexpr const char* kEnd = R"(  esac
}

if [[ ${funcstack[1]} == _hypura ]]; then
  _hypura "$@"
else
  compdef _hypura hypura
fi
)";

// Within single quotes, `special` behind backslashes.
std::string escaped(const std::string& text, const std::string& special) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
      continue;
    }
    if (c == '\\' || special.find(c) != std::string::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string action(const std::string& stands_for, const TypedValue& value) {
  std::string text = ":" + escaped(stands_for, ":") + ": ";
  if (value.nothing()) return text;
  text += fmt::format("_hypura_value {}", to_string(value.paths));
  for (const std::string& word : value.words) text += " " + word;
  return text;
}

std::string branch(const CommandDescription& command, const std::vector<std::string>& names) {
  std::string text = fmt::format("    {})\n      _arguments", command.name);
  for (const OptionDescription& option : all_options(command)) {
    const std::string rest =
        fmt::format("[{}]{}", escaped(in_short(option.help), "[]"),
                    option.value.empty() ? std::string()
                                         : action(option.value, typed_value(option.value)));
    const std::string words =
        option.names.size() == 1
            ? fmt::format("'*{}{}'", option.names[0], rest)
            : fmt::format("'*'{{{}}}'{}'", fmt::join(option.names, ","), rest);
    text += " \\\n        " + words;
  }
  if (!command.words.empty()) {
    text += fmt::format(" \\\n        '*{}'",
                        action(command.words[0].value, typed_words(command, names)));
  }
  return text + "\n      ;;\n";
}

}  // namespace

std::string zsh_script(const std::vector<CommandDescription>& commands) {
  const std::vector<std::string> names = names_of(commands);
  std::string text = kStart;
  text += "  commands=(\n";
  for (const CommandDescription& command : commands) {
    text += fmt::format("    '{}:{}'\n", command.name, escaped(in_short(command.text), ""));
  }
  text += "  )\n"
          "  _arguments -C '(- *)'{-h,--help}'[print this and exit]' \\\n"
          "    '(- *)--version[print the version]' '1: :->command' '*:: :->rest' && return\n"
          "  if [[ $state == command ]]; then\n"
          "    _describe command commands\n"
          "    return\n"
          "  fi\n"
          "  case ${words[1]} in\n";
  for (const CommandDescription& command : commands) text += branch(command, names);
  return text + kEnd;
}

}  // namespace hypura::cli
