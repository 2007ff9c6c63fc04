#pragma once

#include <string>

#include "base/status.h"
#include "engine/engine.h"
#include "plan/plan_file.h"

namespace hypura::cli {

// Errors: failed, if it cannot be read; invalid_argument, if it is no plan.
Result<SavedPlan> read_plan(const std::string& path);

// Takes a saved plan's decisions into the options of a run. Refused, with what and why: a plan of
// another model or schema, and options that the plan decides. A plan of another machine is carried
// out, after a note.
Status carry_out(const std::string& path, EngineOptions& options);

}  // namespace hypura::cli
