#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura batch`: answers a file of requests in OpenAI's batch format, many at a time.
Status batch(const std::vector<std::string>& arguments);
CommandDescription describe_batch();

}  // namespace hypura::cli
