#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura rm`: removes models of our folder.
Status remove_models(const std::vector<std::string>& arguments);
CommandDescription describe_remove();

}  // namespace hypura::cli
