#pragma once

#include <cstdint>
#include <string>

namespace hypura {

// The value of a "key 123" line of a file, as control groups write them; 0 if there is none.
uint64_t count_in(const std::string& path, const std::string& key);

}  // namespace hypura
