#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion/script.h"

namespace hypura::cli {
namespace {

// Works in bash 3.2, which is macOS's.
constexpr const char* kStart =
    R"bash(# Completes hypura in bash. In ~/.bashrc: source <(hypura completion bash)
_hypura() {
  local IFS=$' \t\n'
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' paths='' name=''
  COMPREPLY=()
  # name:tag comes as three words, and so does --option=value.
  if [[ $cur == ':' ]]; then
    name=$prev: cur='' prev=${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $prev == ':' ]] && ((COMP_CWORD > 3)); then
    name=${COMP_WORDS[COMP_CWORD-2]}: prev=${COMP_WORDS[COMP_CWORD-3]}
  fi
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  if ((COMP_CWORD == 1)); then
)bash";

constexpr const char* kEnd = R"bash(    esac
  fi
  if [[ $paths == models ]]; then
    words+=" $(hypura list 2>/dev/null | awk 'NR > 1 { print $1 }')"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$name$cur"))
  COMPREPLY=("${COMPREPLY[@]#"$name"}")
  [[ -n $paths && -z $name ]] || return 0
  compopt -o filenames 2>/dev/null
  local path
  while IFS= read -r path; do
    COMPREPLY+=("$path")
  done < <(
    case $paths in
      files) compgen -f -- "$cur" ;;
      folders) compgen -d -- "$cur" ;;
      models) compgen -d -- "$cur"; compgen -f -X '!*.gguf' -- "$cur" ;;
    esac
  )
}
complete -F _hypura hypura
)bash";

std::string assignments(const TypedValue& value) {
  std::string text;
  if (!value.words.empty()) text += fmt::format("words='{}' ", fmt::join(value.words, " "));
  if (value.paths != TypedValue::Paths::none) {
    text += fmt::format("paths={} ", to_string(value.paths));
  }
  return text;
}

std::string branch(const CommandDescription& command, const std::vector<std::string>& names) {
  std::string text = fmt::format("      {})\n        case $prev in\n", command.name);
  std::vector<std::string> all;
  for (const OptionDescription& option : all_options(command)) {
    all.insert(all.end(), option.names.begin(), option.names.end());
    if (option.value.empty()) continue;
    text += fmt::format("          {}) {};;\n", fmt::join(option.names, "|"),
                        assignments(typed_value(option.value)));
  }
  const std::string words = assignments(typed_words(command, names));
  text += fmt::format("          *)\n            if [[ $cur == -* ]]; then\n"
                      "              words='{}'\n            else\n              {}\n"
                      "            fi ;;\n        esac ;;\n",
                      fmt::join(all, " "), words.empty() ? ":" : words);
  return text;
}

}  // namespace

std::string bash_script(const std::vector<CommandDescription>& commands) {
  const std::vector<std::string> names = names_of(commands);
  std::string text = kStart;
  text += fmt::format("    words='{} help --help --version'\n  else\n"
                      "    case ${{COMP_WORDS[1]}} in\n",
                      fmt::join(names, " "));
  for (const CommandDescription& command : commands) text += branch(command, names);
  return text + kEnd;
}

}  // namespace hypura::cli
