#pragma once

#include <string>

#include "base/status.h"
#include "cli/chat/dialogue.h"

namespace hypura::cli {

// A chat in a file: the messages as JSON, and beside it, as FILE.kv, what the model's context
// computed of them. The latter is used only if it is whole and of the same model, adapters and
// context; otherwise the next answer computes it anew.

// Errors: failed, with the path.
Status save_chat(Dialogue& dialogue, const std::string& path);

// Replaces the chat, and returns a line about what was loaded. Errors: invalid_argument for a file
// that holds no chat, failed for one that cannot be read; nothing has changed then.
Result<std::string> load_chat(Dialogue& dialogue, const std::string& path);

}  // namespace hypura::cli
