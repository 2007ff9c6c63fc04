#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

// `hypura trace`: does what `run` does, and writes down which experts each token was routed to. Or
// follows a text that is given, as if the model had generated it.
Status trace(const std::vector<std::string>& arguments);

}  // namespace hypura::cli
