#include "residency/prefaulter.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/thread_urgency.h"
#include "base/units.h"
#include "residency/arena.h"

namespace hypura {
namespace {

constexpr uint64_t kStepBytes = 32 * kMiB;

}  // namespace

Prefaulter::Prefaulter(std::vector<std::span<std::byte>> ranges)
    : thread_([ranges = std::move(ranges)](const std::stop_token& stop) {
        set_thread_urgency(ThreadUrgency::background);
        for (std::span<std::byte> range : ranges) {
          while (!range.empty() && !stop.stop_requested()) {
            const size_t step = std::min<size_t>(range.size(), kStepBytes);
            make_present(range.first(step));
            range = range.subspan(step);
          }
        }
      }) {}

}  // namespace hypura
