#pragma once

#include <string>
#include <vector>

#include "cli/command_description.h"

namespace hypura::cli {

// A command line taken apart by what its command says of itself, whatever its options mean.
struct OptionWords {
  struct Option {
    std::string name;                // "--ctx"
    std::vector<std::string> words;  // as they were typed: "--ctx", "4096"
  };
  std::vector<std::string> words;  // that belong to no option
  std::vector<Option> options;
};

// What is not known counts as an option without a value.
OptionWords take_apart(const std::vector<std::string>& arguments,
                       const CommandDescription& command);

}  // namespace hypura::cli
