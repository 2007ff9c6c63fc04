#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// hypura plan MODEL: what a run would do here, and how fast it would be, without running.
Status plan(const std::vector<std::string>& arguments);
CommandDescription describe_plan();

// hypura estimate --machine NAME|FILE MODEL: the same for a machine that is not here.
Status estimate(const std::vector<std::string>& arguments);
CommandDescription describe_estimate();

}  // namespace hypura::cli
