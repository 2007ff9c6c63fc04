#include "plugin/host_mapping.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/units.h"

namespace hypura {
namespace {

constexpr const char* kSmaps = "/proc/self/smaps";
constexpr std::string_view kLocked = "Locked:";

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string path;  // empty if anonymous
};

// "7f00a000-7f00b000 r--s 00000000 fe:00 1234    /models/a b.gguf" starts a mapping; other lines,
// "Rss:   4 kB", describe it.
std::optional<Range> parse_range(const std::string& line) {
  unsigned long begin = 0;
  unsigned long end = 0;
  int path_at = 0;
  if (std::sscanf(line.c_str(), "%lx-%lx %*s %*s %*s %*s %n", &begin, &end, &path_at) != 2) {
    return std::nullopt;
  }
  Range range{.begin = begin, .end = end};
  if (path_at > 0) range.path = line.substr(static_cast<size_t>(path_at));
  return range;
}

}  // namespace

std::optional<HostMapping> find_mapping(const std::string& smaps, uint64_t address) {
  std::istringstream lines(smaps);
  std::optional<HostMapping> found;
  for (std::string line; std::getline(lines, line);) {
    if (const std::optional<Range> range = parse_range(line)) {
      if (found) return found;
      if (range->begin <= address && address < range->end && range->path.starts_with('/')) {
        found = HostMapping{.path = range->path};
      }
    } else if (found && line.starts_with(kLocked)) {
      found->locked_bytes = std::strtoull(line.c_str() + kLocked.size(), nullptr, 10) * kKiB;
    }
  }
  return found;
}

Result<HostMapping> find_mapping(const void* address) {
  std::ostringstream text;
  text << std::ifstream(kSmaps).rdbuf();
  std::optional<HostMapping> found = find_mapping(text.str(), reinterpret_cast<uintptr_t>(address));
  if (found) return *std::move(found);
  return Status(StatusCode::failed, fmt::format("no file is mapped at {}", address))
      .because(fmt::format("{} does not show it", kSmaps));
}

}  // namespace hypura
