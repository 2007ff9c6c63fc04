#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

// hypura plan MODEL: what a run would do here, and how fast it would be, without running.
Status plan(const std::vector<std::string>& arguments);

// hypura estimate --machine NAME|FILE MODEL: the same for a machine that is not here.
Status estimate(const std::vector<std::string>& arguments);

}  // namespace hypura::cli
