#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/layout.h"
#include "model/model_index.h"
#include "plan/placement.h"

namespace hypura {

// What the allocator of repacked weights may take beside them: two pages, for alignment.
inline constexpr uint64_t kRepackOverheadBytes = 2 * kBlockBytes;

// place(), and then what it pinned moves to repacked memory where that is possible:
// `repacked_bytes` has, by tensor, what it would take there, 0 where it cannot be repacked. Both
// kinds of memory together keep to input.weight_budget. Repacking reads a tensor at a time into
// memory that the rest of the plan is given afterwards; what is too large for that stays as it is.
// Pure. Error: does_not_fit, as place().
Result<Layout> place_repacked(const ModelIndex& index, const PlacementInput& input,
                              const std::vector<uint64_t>& repacked_bytes);

}  // namespace hypura
