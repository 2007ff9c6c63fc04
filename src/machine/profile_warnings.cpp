#include "machine/profile_warnings.h"

#include <fmt/format.h>

#include "base/units.h"
#include "machine/repeated.h"

namespace hypura {
namespace {

// Drives and their hosts keep that much in caches of their own.
constexpr uint64_t kSmallFileBytes = 256 * kMiB;

}  // namespace

std::vector<std::string> warnings_of(const Doubts& doubts) {
  std::vector<std::string> warnings;
  const auto noisy = [&](const char* what, double spread) {
    if (spread <= kNoisySpread) return;
    warnings.push_back(fmt::format("noisy: rates of {} spread over {:.0f} %", what, 100 * spread));
  };
  const auto throttled = [&](const char* what, double slowdown) {
    if (slowdown <= kThrottledShare) return;
    warnings.push_back(fmt::format("throttled: {} ended {:.0f} % slower than it began", what,
                                   100 * slowdown));
  };
  if (doubts.quick) warnings.emplace_back("quick: only what a prediction needs was measured");
  if (doubts.in_memory) {
    warnings.emplace_back("in memory: the file lies in RAM (tmpfs), no drive was measured");
  } else if (!doubts.direct) {
    warnings.emplace_back("buffered: this file system refuses direct reads");
  }
  if (doubts.file_bytes > 0 && doubts.file_bytes < kSmallFileBytes) {
    warnings.push_back(fmt::format("small: {} {} were read, a cache of the drive may have answered",
                                   doubts.temporary ? "no more than" : "the file's",
                                   format_bytes(doubts.file_bytes)));
  }
  noisy("the drive", doubts.drive_spread);
  noisy("the processor", doubts.compute_spread);
  noisy("memory", doubts.memory_spread);
  throttled("the drive", doubts.drive_slowdown);
  throttled("the processor", doubts.compute_slowdown);
  if (doubts.throttle_events > 0) {
    warnings.push_back(fmt::format("throttled: the processor was slowed for its heat {} times",
                                   doubts.throttle_events));
  }
  if (doubts.cores > 0 && doubts.load > 0.5 * doubts.cores) {
    warnings.push_back(fmt::format("busy: other programs computed, a load of {:.1f} on {} cores",
                                   doubts.load, doubts.cores));
  }
  return warnings;
}

}  // namespace hypura
