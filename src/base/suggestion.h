#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hypura {

// The candidate that `typed` was probably meant to be, or empty if none is near: at most a third of
// its letters inserted, dropped, replaced or swapped with their neighbour.
std::string closest(std::string_view typed, const std::vector<std::string>& candidates);

}  // namespace hypura
