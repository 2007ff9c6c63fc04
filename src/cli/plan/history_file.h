#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "plan/history.h"

namespace hypura::cli {

// The file with the ring of past runs. Safe to delete, to edit, and to be written by several
// processes at once.

inline constexpr const char* kNoHistoryHelp =
    "past runs on this machine neither correct the prediction nor get this run added";

// Among the user's caches; empty where the user has no home.
std::string history_path();

// No file is an empty history. Errors: failed, with the path and what is wrong with the content.
Result<std::vector<PastRun>> read_history(const std::string& path);

// The same for a prediction, which needs no history: none if `path` is empty, and a note on stderr
// about a file that is none.
std::vector<PastRun> past_runs(const std::string& path);

// Adds a run and replaces the file in one step, under a lock on its folder. A file that is no
// history is replaced by a new one. Errors: failed with errno, or if the lock is held for a second.
Status append_run(const std::string& path, PastRun run);

}  // namespace hypura::cli
