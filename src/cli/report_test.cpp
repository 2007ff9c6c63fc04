#include "cli/report.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

EngineStats stats(uint64_t hits, uint64_t misses) {
  EngineStats stats;
  stats.residency.expert_hits = hits;
  stats.residency.expert_misses = misses;
  return stats;
}

TEST(ExpertHitRate, IsOfTheUsesBetweenTwoMoments) {
  EXPECT_EQ(expert_hit_rate(stats(5, 5), stats(5, 5)), 0) << "none";
  EXPECT_DOUBLE_EQ(expert_hit_rate(stats(100, 0), stats(103, 1)), 0.75);
}

TEST(ExpertHitRate, WhatTheGpuHadIsAHitAndWhatItMissedIsUpToRam) {
  const EngineStats before = stats(100, 0);
  EngineStats after = stats(103, 1);
  after.gpu = GpuWalkStats{.hits = 4, .misses = 4};
  EXPECT_DOUBLE_EQ(expert_hit_rate(before, after), 7.0 / 8);
  EngineStats later = stats(104, 4);
  later.gpu = GpuWalkStats{.hits = 4, .misses = 8};
  EXPECT_DOUBLE_EQ(expert_hit_rate(after, later), 0.25);
}

}  // namespace
}  // namespace hypura::cli
