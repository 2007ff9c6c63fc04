#include "cli/bench/statistics.h"

#include <gtest/gtest.h>

#include <numeric>

namespace hypura::cli {
namespace {

MedianInterval of(std::vector<double> samples) { return *median_interval(std::move(samples)); }

std::vector<double> up_to(size_t count) {
  std::vector<double> samples(count);
  std::iota(samples.begin(), samples.end(), 0.0);
  return samples;
}

TEST(Statistics, CoverageIsBinomial) {
  EXPECT_DOUBLE_EQ(coverage(5, 1), 0.9375);
  EXPECT_DOUBLE_EQ(coverage(6, 1), 0.96875);
  EXPECT_DOUBLE_EQ(coverage(9, 2), 1 - 2 * (1 + 9) / 512.0);
}

TEST(Statistics, MedianOfFew) {
  EXPECT_FALSE(median_interval({}).has_value());
  EXPECT_EQ(of({3}).median, 3);
  EXPECT_EQ(of({3}).coverage, 0) << "one sample says nothing about its spread";
  EXPECT_EQ(of({4, 1}).median, 2.5);
  const MedianInterval three = of({9, 1, 2});
  EXPECT_EQ(three.median, 2);
  EXPECT_EQ(three.low, 1);
  EXPECT_EQ(three.high, 9);
  EXPECT_DOUBLE_EQ(three.coverage, 0.75);
  EXPECT_EQ(three.samples, 3u);
}

TEST(Statistics, LeavesOutExtremesOnceItMay) {
  for (const size_t count : {6u, 7u, 8u}) {
    EXPECT_EQ(of(up_to(count)).low, 0) << count;
    EXPECT_EQ(of(up_to(count)).high, static_cast<double>(count - 1)) << count;
  }
  EXPECT_EQ(of(up_to(9)).low, 1);
  EXPECT_EQ(of(up_to(9)).median, 4);
  EXPECT_EQ(of(up_to(9)).high, 7);
  EXPECT_EQ(of(up_to(12)).low, 2);
  EXPECT_EQ(of(up_to(12)).high, 9);
}

TEST(Statistics, CoversWhatItPromisesFromSixOn) {
  for (size_t count = 6; count <= 1000; ++count) {
    EXPECT_GE(of(up_to(count)).coverage, 0.95) << count;
  }
  EXPECT_LT(of(up_to(5)).coverage, 0.95);
}

TEST(Statistics, RatiosAreTakenWithinPairs) {
  EXPECT_EQ(pair_ratios({4, 6, 0, 8}, {2, 2, 2, 0}), (std::vector<double>{2, 3}));
  EXPECT_EQ(pair_ratios({4, 6}, {2}), (std::vector<double>{2})) << "an interrupted round";
  EXPECT_TRUE(pair_ratios({}, {1}).empty());
}

}  // namespace
}  // namespace hypura::cli
