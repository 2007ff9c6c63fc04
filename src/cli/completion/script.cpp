#include "cli/completion/script.h"

namespace hypura::cli {
namespace {

constexpr size_t kColumns = 72;

}  // namespace

std::vector<OptionDescription> all_options(const CommandDescription& command) {
  std::vector<OptionDescription> options = command.options;
  options.insert(options.end(), command.llama_options.begin(), command.llama_options.end());
  return options;
}

TypedValue typed_words(const CommandDescription& command, const std::vector<std::string>& names) {
  TypedValue all;
  for (const OptionDescription& word : command.words) all.add(typed_value(word.value));
  if (all.commands) all.words.insert(all.words.end(), names.begin(), names.end());
  return all;
}

std::vector<std::string> names_of(const std::vector<CommandDescription>& commands) {
  std::vector<std::string> names;
  for (const CommandDescription& command : commands) names.push_back(command.name);
  return names;
}

std::string in_short(const std::string& help) {
  const std::string line = help.substr(0, help.find('\n'));
  if (line.size() <= kColumns) return line;
  return line.substr(0, line.rfind(' ', kColumns)) + " ...";
}

}  // namespace hypura::cli
