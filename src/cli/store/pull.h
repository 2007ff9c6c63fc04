#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura pull`: fetches a model into our folder; prints its name.
Status pull_command(const std::vector<std::string>& arguments);
CommandDescription describe_pull();

}  // namespace hypura::cli
