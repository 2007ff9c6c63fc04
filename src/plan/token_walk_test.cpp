#include "plan/token_walk.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

const DriveProfile kDrive{.sequential_gbps = 1, .scattered_gbps = 1};

WalkInput ring(double compute_seconds, double bytes, double capacity) {
  WalkInput input{.ring_capacity_bytes = capacity, .ring_bytes_per_second = 1e9, .drive = &kDrive};
  for (int i = 0; i < 10; ++i) {
    input.steps.push_back({.compute_seconds = compute_seconds, .ring_bytes = bytes});
  }
  return input;
}

TEST(TokenWalk, ReadsAndComputeOverlapToTheLarger) {
  // 10 pieces of 10 MB take the drive 100 ms.
  EXPECT_NEAR(walk_tokens(ring(0.002, 1e7, 4e7)).token_seconds, 0.100, 1e-9);
  EXPECT_NEAR(walk_tokens(ring(0.002, 1e7, 4e7)).wait_seconds, 0.080, 1e-9);
  EXPECT_NEAR(walk_tokens(ring(0.030, 1e7, 4e7)).token_seconds, 0.300, 1e-9);
  EXPECT_NEAR(walk_tokens(ring(0.030, 1e7, 4e7)).wait_seconds, 0, 1e-9);
}

TEST(TokenWalk, ARingOfOnePieceTakesTurns) {
  EXPECT_NEAR(walk_tokens(ring(0.010, 1e7, 1e7)).token_seconds, 0.200, 1e-9);
  EXPECT_NEAR(walk_tokens(ring(0.010, 1e7, 2e7)).token_seconds, 0.100, 1e-9);
}

// What is pinned computes in one stretch; the drive is idle for what the ring cannot take
// meanwhile.
TEST(TokenWalk, ALongStretchNeedsAWideRing) {
  WalkInput input = ring(0, 1e7, 2e7);
  input.steps.push_back({.compute_seconds = 0.100});
  EXPECT_NEAR(walk_tokens(input).token_seconds, 0.180, 1e-9);
  input.ring_capacity_bytes = 1e8;
  EXPECT_NEAR(walk_tokens(input).token_seconds, 0.100, 1e-9);
}

WalkInput experts(double hit_share, double attention_seconds, bool prefetch) {
  WalkInput input{.drive = &kDrive, .prefetch = prefetch};
  for (int i = 0; i < 10; ++i) {
    input.steps.push_back({.compute_seconds = attention_seconds});
    input.steps.push_back({.experts = true,
                           .stage = {.hit_share = hit_share,
                                     .used = 4,
                                     .expert_bytes = 3e6,
                                     .expert_seconds = 0.0001,
                                     .slices = 3,
                                     .slice_bytes = 1e6}});
  }
  return input;
}

TEST(TokenWalk, ExpertsThatAreThereOnlyCompute) {
  const WalkTimes times = walk_tokens(experts(1, 0.001, false));
  EXPECT_NEAR(times.token_seconds, 0.010 + 10 * 4 * 0.0001, 1e-9);
  EXPECT_EQ(times.read_bytes, 0);
}

TEST(TokenWalk, MissingExpertsAreReadAndTheLastComputedBehind) {
  const WalkTimes times = walk_tokens(experts(0, 0.001, false));
  EXPECT_NEAR(times.token_seconds, 10 * (0.001 + 4 * 0.003 + 0.0001), 1e-9);
  EXPECT_NEAR(times.read_bytes, 10 * 4 * 3e6, 1);
  EXPECT_NEAR(times.read_seconds, 0.120, 1e-9);
}

TEST(TokenWalk, GuessesFillTheTimeOfAttention) {
  const double without = walk_tokens(experts(0.5, 0.002, false)).token_seconds;
  const double with = walk_tokens(experts(0.5, 0.002, true)).token_seconds;
  EXPECT_LT(with, without - 10 * 0.001);
  // Neither all reads nor all compute can vanish.
  EXPECT_GE(with, walk_tokens(experts(0.5, 0.002, true)).read_seconds);
}

// Half of four experts missing is not always two of them.
TEST(TokenWalk, ExpectsOverTheNumberOfMisses) {
  const WalkTimes times = walk_tokens(experts(0.5, 0, false));
  EXPECT_NEAR(times.read_bytes, 10 * 2 * 3e6, 1);
  // Exactly: sum over k of C(4,k)/16 of max(0.4 ms, k * 3 ms + 0.1 ms), 0.4 ms for none.
  const double one = (0.0004 + 4 * 0.0031 + 6 * 0.0061 + 4 * 0.0091 + 0.0121) / 16;
  EXPECT_NEAR(times.token_seconds, 10 * one, 1e-9);
}

}  // namespace
}  // namespace hypura
