#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

// `hypura bench`: measures a model at a budget against llama.cpp and against the drive. The table
// goes to stdout, progress to stderr.
Status bench(const std::vector<std::string>& arguments);

}  // namespace hypura::cli
