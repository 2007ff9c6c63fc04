#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hypura {

// A folder of the control group that this process is in, or of one above it.
struct OwnGroup {
  std::string folder;  // ends with "/"
  bool version1 = false;
  bool parent = false;
};

// The groups whose limits by `controller` ("memory", "cpu") hold for this process, the innermost
// first in each hierarchy. Empty without control groups. `root` is put in front of all paths, for
// tests.
std::vector<OwnGroup> own_groups(std::string_view controller, const std::string& root = "");

}  // namespace hypura
