#pragma once

#include <string>

#include "base/status.h"
#include "cli/run_options.h"
#include "plan/plan_file.h"

namespace hypura::cli {

// The plan, with what the options say beside it.
SavedPlan to_save(const PlanInput& input, const Plan& plan, const EngineOptions& options);

// Errors: failed, if it cannot be read; invalid_argument, if it is no plan.
Result<SavedPlan> read_plan(const std::string& path);

// Takes a saved plan's decisions into the options of a run. Refused, with what and why: a plan of
// another model or schema, and options that the plan decides; threads that were asked for beside it
// count. A plan of another machine is carried out, after a note, with threads of this one.
Status carry_out(const std::string& path, RunOptions& options);

}  // namespace hypura::cli
