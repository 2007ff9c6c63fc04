#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura ps`: the models that a server has loaded, and where their weights are. Errors: failed,
// where no server answers.
Status ps(const std::vector<std::string>& arguments);
CommandDescription describe_ps();

// The table that it prints of what GET /hypura/status says.
Result<std::string> ps_table(const std::string& status_json);

}  // namespace hypura::cli
