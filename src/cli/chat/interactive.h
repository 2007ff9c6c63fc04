#pragma once

#include <string>

#include "base/status.h"
#include "engine/engine.h"

namespace hypura::cli {

// `run -i`: answers the messages on stdin in the model's own chat template and keeps the chat in
// the KV cache; lines with a slash are commands. A model without a template continues the text
// instead. Ends at the end of input or with /quit. Ctrl-C ends an answer; see MessageReader for the
// prompt. `history_file` has the past runs that predictions are corrected by; may be empty.
Status chat(Engine& engine, const std::string& history_file);

}  // namespace hypura::cli
