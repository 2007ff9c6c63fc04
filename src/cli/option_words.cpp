#include "cli/option_words.h"

#include <algorithm>

namespace hypura::cli {
namespace {

bool takes_value(const std::vector<OptionDescription>& options, const std::string& name) {
  return std::any_of(options.begin(), options.end(), [&](const OptionDescription& option) {
    return !option.value.empty() &&
           std::find(option.names.begin(), option.names.end(), name) != option.names.end();
  });
}

}  // namespace

OptionWords take_apart(const std::vector<std::string>& arguments,
                       const CommandDescription& command) {
  OptionWords apart;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with('-') || word == "-") {
      apart.words.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    OptionWords::Option option{.name = word.substr(0, equals), .words = {word}};
    const bool value_follows =
        equals == std::string::npos && i + 1 < arguments.size() &&
        (takes_value(command.options, word) || takes_value(command.llama_options, word));
    if (value_follows) option.words.push_back(arguments[++i]);
    apart.options.push_back(std::move(option));
  }
  return apart;
}

}  // namespace hypura::cli
