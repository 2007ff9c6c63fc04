#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "plan/calibration.h"
#include "plan/planner.h"
#include "plan/threads.h"

namespace hypura::cli {

// Past runs, and what they did to a plan's speeds.
struct PastView {
  std::vector<PastRun> runs;
  std::string profile;  // of this machine as it was measured, whatever a what-if makes of it
  Calibration calibration = {};
  double uncalibrated_decode_tps = 0;
  double uncalibrated_prompt_tps = 0;
};

// One plan, and what it was made from, as it is shown.
struct PlanView {
  const PlanInput& input;
  const Plan& plan;
  const EngineOptions& options;
  const ThreadChoice& threads;
  std::vector<std::string> suggestions;
  double seconds = 0;  // that planning took
  PastView past = {};
};

// A table by tier, the prediction and what limits it.
std::string plan_table(const PlanView& view);
// "schema": 1. Without the braces' line break at the end.
std::string plan_json(const PlanView& view);
// `what`: a tensor's name, "ram", "nvme", "gpu", "mode" or "threads". Error: invalid_argument if it
// is none.
Result<std::string> explain(const PlanView& view, const std::string& what);

}  // namespace hypura::cli
