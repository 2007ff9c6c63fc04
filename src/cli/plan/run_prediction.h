#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "plan/calibration.h"
#include "plan/cost_model.h"
#include "plan/history.h"

namespace hypura::cli {

// What a run should take, to be held against what it took.
struct RunPrediction {
  Range decode_tps;  // corrected by past runs
  Range prompt_tps;
  double bound_seconds = 0;  // of a token: no caching and overlap does better (plan/bound.h)
  double drive_gbps = 0;     // sequential, as profiled
  double uncalibrated_decode_tps = 0;  // by the cost model alone
  double uncalibrated_prompt_tps = 0;
  RunKind kind;
  Calibration calibration;
};

// For the placement that the engine has, on this machine: nullopt until it has been profiled.
// Its experts' cache starts empty.
std::optional<RunPrediction> predict_run(const Engine& engine, const std::vector<PastRun>& past,
                                         uint32_t prompt_tokens, uint32_t answer_tokens);

}  // namespace hypura::cli
