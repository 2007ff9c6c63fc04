#include "plan/look_ahead.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace hypura {
namespace {

constexpr uint64_t kSlot = 4 * kMiB;
constexpr Speeds kLaptop{.drive = 2.3e9, .compute = 20e9};

TEST(LookAhead, CoversAHiccupOfTheDrive) {
  EXPECT_EQ(look_ahead_slots(kLaptop, 0, kSlot), 20u);  // 73.6 MB, and two in use
  EXPECT_EQ(look_ahead_slots({.drive = 0.5e9, .compute = 20e9}, 0, kSlot), 6u);
  EXPECT_EQ(look_ahead_slots({.drive = 7e9, .compute = 20e9}, 0, kSlot), 56u);
}

TEST(LookAhead, CoversAStretchOfCompute) {
  const uint64_t stretch = 400'000'000;  // 20 ms, in which the drive reads 46 MB
  EXPECT_EQ(look_ahead_slots(kLaptop, stretch, kSlot), 31u);
  EXPECT_GT(look_ahead_slots({.drive = 2.3e9, .compute = 10e9}, stretch, kSlot), 31u);
}

TEST(LookAhead, IsBoundedAndHasAnAnswerWithoutMeasurements) {
  EXPECT_EQ(look_ahead_slots({}, 1'000'000'000, kSlot), 24u);
  EXPECT_EQ(look_ahead_slots({.drive = 1e15, .compute = 1}, UINT64_MAX, kSlot), 98u);
  EXPECT_EQ(look_ahead_slots({.drive = 1, .compute = 1e15}, 0, kSlot), 3u);
}

}  // namespace
}  // namespace hypura
