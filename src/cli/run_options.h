#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"

namespace hypura::cli {

struct RunOptions {
  EngineOptions engine;
  bool interactive = false;  // -i: a conversation on the terminal
  bool chat = false;         // -cnv: the prompt is one message, in the model's chat template
  bool json = false;
  bool help = false;
};

// The arguments after `run`. Errors: invalid_argument; an empty message if it was already printed.
Result<RunOptions> parse_run_options(const std::vector<std::string>& arguments);

std::string run_help();

}  // namespace hypura::cli
