#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace hypura::cli {

// Writes to stdout and flushes. False when it did not get there: write_failure() has the reason.
bool write_answer(const std::string& text);
// Why write_answer() failed last. ok() if the reader left (a closed pipe): that is no error.
Status write_failure();
// Writes to stderr: progress, plans, summaries.
void write_note(const std::string& text);

// Progress on stderr: one changing line on a terminal, after half a second; silent
// elsewhere.
class ProgressLine {
 public:
  ~ProgressLine();
  void update(uint64_t done_bytes, uint64_t total_bytes);  // of loading
  void show(const std::string& text);

 private:
  double start_seconds_ = 0;
  bool shown_ = false;
};

}  // namespace hypura::cli
