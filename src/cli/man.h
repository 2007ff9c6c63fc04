#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura man [COMMAND]`: prints a manual page, or writes all of them into a folder.
Status man(const std::vector<std::string>& arguments);
CommandDescription describe_man();

}  // namespace hypura::cli
