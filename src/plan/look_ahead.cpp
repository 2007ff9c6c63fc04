#include "plan/look_ahead.h"

#include <algorithm>
#include <cmath>

namespace hypura {
namespace {

// Slots of 4 MiB at 2.3 GB/s: 6 reached 1.85 GB/s, 12 2.1 to 2.3, 24 2.3 to 2.45
// (docs/experiments.md).
constexpr double kHiccupSeconds = 0.032;
constexpr uint32_t kSlotsInUse = 2;
constexpr uint32_t kSlotsUnmeasured = 24;
constexpr double kSlotsMax = 96;

}  // namespace

uint32_t look_ahead_slots(const Speeds& speeds, uint64_t stretch_bytes, uint64_t slot_bytes) {
  if (speeds.drive <= 0 || speeds.compute <= 0) return kSlotsUnmeasured;
  const double seconds = kHiccupSeconds + static_cast<double>(stretch_bytes) / speeds.compute;
  const double slots = std::ceil(speeds.drive * seconds / static_cast<double>(slot_bytes));
  return kSlotsInUse + static_cast<uint32_t>(std::clamp(slots, 1.0, kSlotsMax));
}

}  // namespace hypura
