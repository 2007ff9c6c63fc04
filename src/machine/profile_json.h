#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"
#include "machine/profile.h"

namespace hypura {

// No profile that we write comes near.
inline constexpr size_t kProfileBytesMax = size_t{1} << 20;

// The profile as one JSON object, indented for people who edit it, with a line break at the end.
std::string profile_json(const MachineProfile& profile);

// The inverse, for text that anybody may have written. Keys that are missing are not known (0),
// keys that are not known are skipped. What it accepts is finite, not negative, in the bounds of
// machines that can be, in lists of bounded length, and free of control characters. Errors: failed,
// with the key and what is wrong with it.
Result<MachineProfile> parse_profile(std::string_view text);

// Sixteen hex digits of all that a profile says, but for the memory limit of the day: measured anew
// or edited, it is another one.
std::string profile_id(const MachineProfile& profile);

}  // namespace hypura
