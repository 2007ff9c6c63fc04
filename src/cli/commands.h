#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

inline constexpr const char* kVersion = "0.1.0";

// A command: a line of the one table that dispatch, help, suggestions, completions and man pages
// are made of.
struct Command {
  std::string_view name;
  std::string_view usage;  // what follows the name; a line break starts another form
  Status (*run)(const std::vector<std::string>& arguments);
  CommandDescription (*describe)();
};

// In the order in which help lists them.
std::span<const Command> commands();
// Nullptr if there is none of this name.
const Command* find_command(std::string_view name);

// What `hypura --help` prints.
std::string commands_help();

}  // namespace hypura::cli
