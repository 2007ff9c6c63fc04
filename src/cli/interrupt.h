#pragma once

#include <atomic>

namespace hypura::cli {

// Set by the first Ctrl-C (SIGINT) or SIGTERM; a second one ends the process with 130 at once.
// Installs the handlers on first use.
std::atomic<bool>& interrupt_flag();

// Whether SIGTERM has come: where Ctrl-C ends less than the process, it ends all.
bool asked_to_end();

}  // namespace hypura::cli
