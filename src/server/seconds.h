#pragma once

#include <optional>
#include <string_view>

namespace hypura {

// Seconds of "5m", "1h30m", "300ms" or "300", as keep_alive is written. A negative time, "-1", is
// for good. nullopt: it is none.
std::optional<double> parse_seconds(std::string_view text);

}  // namespace hypura
