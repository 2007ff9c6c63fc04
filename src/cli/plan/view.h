#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "plan/planner.h"
#include "plan/threads.h"

namespace hypura::cli {

// One plan, and what it was made from, as it is shown.
struct PlanView {
  const PlanInput& input;
  const Plan& plan;
  const EngineOptions& options;
  const ThreadChoice& threads;
  std::vector<std::string> suggestions;
  double seconds = 0;  // that planning took
};

// A table by tier, the prediction and what limits it.
std::string plan_table(const PlanView& view);
// "schema": 1. Without the braces' line break at the end.
std::string plan_json(const PlanView& view);
// `what`: a tensor's name, "ram", "nvme", "gpu", "mode" or "threads". Error: invalid_argument if it is none.
Result<std::string> explain(const PlanView& view, const std::string& what);

}  // namespace hypura::cli
