#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura cp`: gives a model a second name.
Status copy_model(const std::vector<std::string>& arguments);
CommandDescription describe_copy();

}  // namespace hypura::cli
