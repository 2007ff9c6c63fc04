#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "machine/profile.h"

namespace hypura {

// A profile as one JSON object, key by member. Members that are missing keep their defaults.
// Errors: invalid_argument for what is no such object, another schema, a key of another type, and
// numbers that are negative or not finite.
Result<MachineProfile> parse_machine_profile(std::string_view text);
std::string to_json(const MachineProfile& profile);

}  // namespace hypura
