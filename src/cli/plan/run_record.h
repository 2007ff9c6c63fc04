#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/plan/run_prediction.h"
#include "cli/report.h"
#include "plan/history.h"

namespace hypura::cli {

// Fewer tokens say more about the clock than about the machine.
inline constexpr uint32_t kDecodedMin = 8;
inline constexpr uint32_t kPromptMin = 32;

// What a run took, and what makes it say nothing about the cost model.
struct RunFacts {
  uint32_t prompt_tokens = 0;
  uint32_t decoded = 0;  // behind the first
  double prompt_seconds = 0;
  double decode_seconds = 0;
  bool interrupted = false;
  bool shrunk = false;    // caches gave memory to others: another layout than the predicted one
  bool repacked = false;  // --fast-prompt: other kernels than the predicted ones
};

// Only of a run that can be trusted, and of it only the phases that can: else nullopt.
std::optional<PastRun> record_of(const RunPrediction& prediction, const RunFacts& facts,
                                 std::string date);

// Makes the run's record in `report`, and adds it to the history in `file` unless that is empty. A
// warning on stderr if that fails.
void remember(const Engine& engine, const std::string& file, RunReport& report);

}  // namespace hypura::cli
