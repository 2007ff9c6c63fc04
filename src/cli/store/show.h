#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura show`: what is known of a model, from its header and from beside it.
Status show_model(const std::vector<std::string>& arguments);
CommandDescription describe_show();

}  // namespace hypura::cli
