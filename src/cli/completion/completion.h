#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura completion SHELL`: prints a script that completes our commands in that shell.
Status completion(const std::vector<std::string>& arguments);
CommandDescription describe_completion();

}  // namespace hypura::cli
