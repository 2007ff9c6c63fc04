#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace hypura {

// A file that this process has mapped, as the kernel tells it.
struct HostMapping {
  std::string path;
  uint64_t locked_bytes = 0;
};

// The mapping `address` lies in. Error: failed if no file is mapped there.
Result<HostMapping> find_mapping(const void* address);

// The same, out of the text of /proc/self/smaps.
std::optional<HostMapping> find_mapping(const std::string& smaps, uint64_t address);

}  // namespace hypura
