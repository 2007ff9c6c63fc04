#pragma once

#include "plan/planner.h"

namespace hypura {

// Of the bytes of F16, what those of Q8_0 are: 34 bytes for 32 values, not 64.
inline constexpr double kQ8OfF16 = 34.0 / 64;

// Whether memory is so tight that a KV cache of Q8_0 in place of F16 is worth its other bits, for
// who allowed it: the plan does not fit otherwise, or what it frees is a tenth of the weights that
// have to stream, whose reads are then saved. `input` has a cache of F16. Pure.
bool quantised_kv_pays(const PlanInput& input);

}  // namespace hypura
