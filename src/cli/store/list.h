#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura list`: the models that are here, by name.
Status list_models(const std::vector<std::string>& arguments);
CommandDescription describe_list();

}  // namespace hypura::cli
