#pragma once

#include <string>

#include "base/status.h"

namespace hypura::cli {

// The file that a MODEL on the command line means: itself where there is such a file, or it looks
// like a path or an address; else that of the stored model of this name. Errors: invalid_argument,
// with what may be meant.
Result<std::string> model_path(const std::string& word);

}  // namespace hypura::cli
