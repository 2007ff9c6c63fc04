#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

// `hypura serve-model`: the process of one model, which `hypura serve` starts. Serves on a socket
// until its stdin closes or SIGTERM comes.
Status serve_model(const std::vector<std::string>& arguments);

}  // namespace hypura::cli
