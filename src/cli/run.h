#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// `hypura run`: opens a model, answers a prompt or holds a conversation. The text goes to stdout,
// the plan and the summary to stderr.
Status run(const std::vector<std::string>& arguments);
CommandDescription describe_run();

}  // namespace hypura::cli
