#pragma once

#include <string>

#include "cli/chat/dialogue.h"

namespace hypura::cli {

// What the last answer took, and what was predicted for it: one line. REQUIRES: there is one.
std::string turn_text(const Dialogue& dialogue, const std::string& history_file);

// What the whole chat took.
std::string chat_text(const Dialogue& dialogue);

}  // namespace hypura::cli
