#include "machine/rule_of_thumb.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace hypura {
namespace {

constexpr uint64_t kGb = 1'000'000'000;

MachineProfile machine() {
  MachineProfile profile;
  profile.memory.read_gbps = 20;
  profile.compute = {{.type = "q4_K", .threads = 1, .token_gbps = 6, .expert_gbps = 5},
                     {.type = "q4_K", .threads = 2, .token_gbps = 10, .expert_gbps = 8},
                     {.type = "f16", .threads = 2, .token_gbps = 19}};
  profile.drive.sequential_gbps = 2;
  profile.drive.scattered_gbps = 1;
  return profile;
}

TEST(RuleOfThumb, ResidentIsBytesOverTheKernelsRate) {
  const ThumbSpeed speed = rule_of_thumb(machine(), 8 * kGb, {.bytes = 5 * kGb});
  EXPECT_DOUBLE_EQ(speed.decode_tps, 2);
  EXPECT_EQ(speed.resident_share, 1);
  EXPECT_FALSE(speed.drive_bound);
}

TEST(RuleOfThumb, DenseStreamingReadsWhatIsNotInMemory) {
  const ThumbSpeed speed = rule_of_thumb(machine(), 8 * kGb, {.bytes = 16 * kGb});
  EXPECT_DOUBLE_EQ(speed.decode_tps, 2.0 / 8);
  EXPECT_EQ(speed.resident_share, 0.5);
  EXPECT_TRUE(speed.drive_bound);
}

TEST(RuleOfThumb, ExpertsReadWhatATokenUsesScattered) {
  const ModelShape model{.bytes = 16 * kGb, .active_share = 0.1};
  EXPECT_DOUBLE_EQ(rule_of_thumb(machine(), 8 * kGb, model).decode_tps, 1 / 0.8);
  EXPECT_DOUBLE_EQ(rule_of_thumb(machine(), 16 * kGb, model).decode_tps, 8 / 1.6);
}

TEST(RuleOfThumb, NothingIsFasterThanMemory) {
  MachineProfile slow = machine();
  slow.memory.read_gbps = 4;
  EXPECT_DOUBLE_EQ(rule_of_thumb(slow, 8 * kGb, {.bytes = 4 * kGb}).decode_tps, 1);
}

TEST(RuleOfThumb, WhatIsNotKnownIsNotGuessed) {
  MachineProfile unknown = machine();
  unknown.drive = {};
  EXPECT_EQ(rule_of_thumb(unknown, 8 * kGb, {.bytes = 16 * kGb}).decode_tps, 0);
  EXPECT_GT(rule_of_thumb(unknown, 8 * kGb, {.bytes = 4 * kGb}).decode_tps, 0);
  EXPECT_EQ(rule_of_thumb({}, 8 * kGb, {.bytes = 4 * kGb}).decode_tps, 0);
  EXPECT_EQ(rule_of_thumb(machine(), 8 * kGb, {}).decode_tps, 0);
}

TEST(WeightCapacity, LeavesRoomForTheRest) {
  EXPECT_EQ(weight_capacity(20 * kGiB), 17 * kGiB);
  EXPECT_EQ(weight_capacity(kGiB), 0u);
  EXPECT_EQ(weight_capacity(0), 0u);
}

}  // namespace
}  // namespace hypura
