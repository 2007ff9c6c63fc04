#pragma once

#include "base/status.h"

namespace hypura::cli {

struct RunOptions;

// What commands that host a model do before they open it: llama.cpp's messages are kept to
// ourselves, Ctrl-C and SIGTERM stop it, and the machine's profile is looked up.
Status prepare_to_serve(RunOptions& options);

}  // namespace hypura::cli
