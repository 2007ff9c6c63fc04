#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura trace`: does what `run` does, and writes down which experts each token was routed to. Or
// follows a text that is given, as if the model had generated it.
Status trace(const std::vector<std::string>& arguments);
CommandDescription describe_trace();

}  // namespace hypura::cli
