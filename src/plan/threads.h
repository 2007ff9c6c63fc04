#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/profile.h"
#include "model/model_index.h"

namespace hypura {

struct ThreadCounts {
  int token = 0;  // while decoding
  int batch = 0;  // while reading prompts
  friend bool operator==(const ThreadCounts&, const ThreadCounts&) = default;
};

// What a count of threads makes of a model's kernels, in memory.
struct ThreadTime {
  int threads = 0;
  double token_seconds = 0;   // 0: not known
  double prompt_seconds = 0;  // of 512 tokens
};

struct ThreadChoice {
  ThreadCounts counts;
  std::vector<ThreadTime> times;  // of the counts that were measured, in their order
  std::string why;                // a sentence
};

// The counts with which a machine's measured kernels compute a model fastest. `usual` stays where
// nothing was measured, where it was not, where the machine was busy meanwhile, and where another
// count gains no more than both rates spread: it is only left for what is faster beyond doubt, or
// where it is more threads than may run at once. Depends on model and machine alone, not on budget
// or mode, so that these do not change bits: attention over 512 tokens and more adds up as many
// parts as there are threads. Pure.
ThreadChoice choose_threads(const ModelIndex& index, const MachineProfile& machine,
                            const ThreadCounts& usual);

}  // namespace hypura
