#pragma once

#include <string>
#include <string_view>

namespace hypura {

// Text out of a model file, safe to show on a terminal: control characters become '?', the rest
// stays as it is. At most 256 bytes, then "...".
std::string printable(std::string_view text);

}  // namespace hypura
