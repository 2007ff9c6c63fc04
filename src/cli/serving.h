#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

struct RunOptions;

// Options that a run has and a command that hosts models refuses; and the refusal, of these and of
// llama.cpp's that only a run knows. Errors: invalid_argument.
std::vector<std::string> options_of_a_run();
Status refuse_what_is_of_a_run(const RunOptions& options);

// What commands that host a model do before they open it: llama.cpp's messages are kept to
// ourselves, Ctrl-C and SIGTERM stop it, and the machine's profile is looked up.
Status prepare_to_serve(RunOptions& options);

}  // namespace hypura::cli
