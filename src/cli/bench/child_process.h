#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

struct ChildOptions {
  std::vector<std::string> words;  // the program's path, then its arguments
  std::chrono::milliseconds timeout{0};
  // After the timeout a child is interrupted, so that it can still print its summary, and killed if
  // that takes longer than this.
  std::chrono::milliseconds grace{20'000};
  std::string group_entry;                  // MemoryGroup::entry(), or empty
  const std::atomic<bool>* stop = nullptr;  // set: the child is killed at once
};

// How a child ended and what it said.
struct ChildOutcome {
  int exit_code = -1;  // -1: a signal ended it
  int signal = 0;
  bool timed_out = false;
  bool stopped = false;
  double seconds = 0;
  uint64_t peak_resident_bytes = 0;
  std::string out;
  std::string err;
};

// What a child says beyond this is dropped, and so is an answer that long.
inline constexpr size_t kChildOutputMax = size_t{64} << 20;

// Runs a program to its end, its input empty, in a process group of its own: a Ctrl-C on the
// terminal reaches only us. It does not outlive this process either (Linux). Errors: failed if it
// cannot be started.
Result<ChildOutcome> run_child(const ChildOptions& options);

// The path of the program that is running.
std::string own_program();

}  // namespace hypura::cli
