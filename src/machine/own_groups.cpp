#include "machine/own_groups.h"

#include <fstream>
#include <sstream>

namespace hypura {
namespace {

// "cpu" in "cpu,cpuacct".
bool names(std::string_view controllers, std::string_view controller) {
  while (!controllers.empty()) {
    const size_t end = controllers.find(',');
    if (controllers.substr(0, end) == controller) return true;
    if (end == std::string_view::npos) return false;
    controllers.remove_prefix(end + 1);
  }
  return false;
}

void add_levels(std::vector<OwnGroup>& groups, const std::string& mount, std::string path,
                bool version1) {
  for (bool parent = false;; parent = true) {
    groups.push_back({.folder = mount + path + "/", .version1 = version1, .parent = parent});
    if (path.empty() || path == "/") return;
    path.erase(path.find_last_of('/'));
  }
}

}  // namespace

std::vector<OwnGroup> own_groups(std::string_view controller, const std::string& root) {
  std::vector<OwnGroup> groups;
  const std::string mount = root + "/sys/fs/cgroup";
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "5:memory:/path" for version 1, "0::/path" for version 2.
    std::istringstream fields(line);
    std::string id, controllers, path;
    std::getline(fields, id, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (controllers.empty()) {
      add_levels(groups, mount, path, false);
    } else if (names(controllers, controller)) {
      add_levels(groups, mount + "/" + std::string(controller), path, true);
    }
  }
  return groups;
}

}  // namespace hypura
