#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/calibration.h"
#include "plan/planner.h"

namespace hypura {

// A change of a machine: "+16G-ram", "-4G-ram", "64G-ram", or the drive's "7GB/s".
struct WhatIf {
  enum class Kind : uint8_t { ram_more, ram_less, ram_is, drive_is };
  Kind kind = Kind::ram_more;
  uint64_t bytes = 0;
  double gbps = 0;
};

// Changes with commas between them. Errors: invalid_argument, naming the change.
Result<std::vector<WhatIf>> parse_what_if(std::string_view text);

// More RAM is more budget, by as much. A faster drive keeps its shape over sizes and depths.
void apply(const std::vector<WhatIf>& changes, MachineProfile& machine, uint64_t& budget_bytes);

// What the user could change of the model's settings, with what it would bring: "-ub 2048: prompts
// at 31 tok/s, not 12". Never decided by the plan itself, for it changes bits. `plan` is as
// make_plan() left it; the lines speak of speeds as past runs correct them.
std::vector<std::string> suggestions(const PlanInput& input, const Plan& plan,
                                     const Calibration& calibration = {});

}  // namespace hypura
