#include "cli/bench/report.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

BenchSample said(std::string text, std::vector<int> ids = {}) {
  return {.decode_tps = 1, .text = std::move(text), .token_ids = std::move(ids)};
}

BenchSample streamed(double tps, double drive_gbps = 1) {
  return {.decode_tps = tps,
          .mode = "dense",
          .budget_bytes = 1'200'000'000,
          .fixed_bytes = 200'000'000,
          .token_bytes = 2e9,
          .token_stall_seconds = 0.75 / tps,
          .drive_gbps = drive_gbps};
}

BenchSample resident(double tps) { return {.decode_tps = tps, .mode = "resident"}; }

BenchReport two_arms(std::vector<BenchSample> hypura, std::vector<BenchSample> mmap) {
  BenchReport report;
  report.token_bytes = {.dense = 3'000'000'000};
  report.arms = {{.name = "hypura", .samples = std::move(hypura)},
                 {.name = "mmap", .samples = std::move(mmap)}};
  return report;
}

TEST(BenchSummary, FailuresAreCountedAndLeftOut) {
  const BenchReport report = two_arms({streamed(4), streamed(6), streamed(5)},
                                      {resident(2), {.failure = "killed"}, resident(2)});
  const BenchSummary summary = summarise(report);
  EXPECT_EQ(summary.arms[0].decode_tps->median, 5);
  EXPECT_EQ(summary.arms[1].decode_tps->samples, 2u);
  EXPECT_EQ(summary.arms[1].failures, 1u);
  EXPECT_EQ(summary.arms[1].first_failure, "killed");
  ASSERT_EQ(summary.ratios.size(), 1u);
  EXPECT_EQ(summary.ratios[0].ratio.samples, 2u) << "a pair goes with either of it";
  EXPECT_EQ(summary.ratios[0].ratio.median, 2.25);
}

TEST(BenchSummary, OnlyWhatStreamsReadsAndWaits) {
  const BenchSummary summary = summarise(two_arms({streamed(4)}, {resident(2)}));
  EXPECT_EQ(summary.arms[0].token_bytes->median, 2e9);
  EXPECT_EQ(summary.arms[0].token_stall_seconds->median, 0.1875);
  EXPECT_FALSE(summary.arms[1].token_bytes.has_value());
  EXPECT_FALSE(summary.arms[0].expert_hit_rate.has_value());
}

TEST(BenchSummary, BoundUsesEachSamplesOwnDrive) {
  // 2 GB are missing: 2 s at 1 GB/s, 1 s at 2 GB/s. Both samples are twice as slow as that.
  const BenchSummary summary = summarise(two_arms({streamed(0.25, 1), streamed(0.5, 2)}, {}));
  const BoundSummary& bound = *summary.arms[0].bound;
  EXPECT_DOUBLE_EQ(bound.of_the_bound.low, 2);
  EXPECT_DOUBLE_EQ(bound.of_the_bound.high, 2);
  EXPECT_DOUBLE_EQ(bound.bound.missing_bytes, 2e9);
  EXPECT_DOUBLE_EQ(bound.drive_gbps, 1.5);
  EXPECT_EQ(bound.compute_from, "hypura");
  EXPECT_DOUBLE_EQ(bound.compute_seconds, 0.75) << "a quarter of 4 s and of 2 s";
}

TEST(BenchSummary, ComputeComesFromAnArmInMemory) {
  BenchReport report = two_arms({streamed(0.25)}, {resident(0.2)});
  report.arms[1].in_memory = true;
  const BoundSummary bound = *summarise(report).arms[0].bound;
  EXPECT_EQ(bound.compute_from, "mmap");
  EXPECT_DOUBLE_EQ(bound.bound.seconds, 5) << "more than the drive's 2 s";
  EXPECT_DOUBLE_EQ(bound.of_the_bound.median, 0.8);
}

TEST(BenchSummary, WithoutSamplesThereIsNothing) {
  const BenchSummary summary = summarise(two_arms({{.failure = "killed"}}, {}));
  EXPECT_FALSE(summary.arms[0].decode_tps.has_value());
  EXPECT_FALSE(summary.arms[0].bound.has_value());
  EXPECT_TRUE(summary.ratios.empty());
  EXPECT_FALSE(summary.drive_gbps.has_value());
}

TextCheck check(std::vector<BenchSample> a, std::vector<BenchSample> b) {
  return compare_texts(two_arms(std::move(a), std::move(b)).arms);
}

TEST(BenchTexts, TokensAgreeAsFarAsTheShorterGoes) {
  EXPECT_TRUE(check({said("abc", {1, 2, 3}), said("ab", {1, 2})}, {said("a", {1})}).agree);
  const TextCheck found = check({said("abc", {1, 2, 3})}, {said("ab", {1, 2}), said("ax", {1, 9})});
  EXPECT_FALSE(found.agree);
  EXPECT_EQ(found.message,
            "Texts DIFFER: hypura, sample 1, and mmap, sample 2, differ after 1 tokens.");
}

TEST(BenchTexts, TextDecidesWhereTokensAreUnknown) {
  EXPECT_TRUE(check({said(" the river runs", {1, 2, 3})}, {said("the river\n")}).agree);
  EXPECT_TRUE(check({said("the river\xE2\x82\xAC", {1, 2})}, {said("the river\xE2\x82")}).agree)
      << "cut off within a character";
  EXPECT_FALSE(check({said("the river runs", {1, 2})}, {said("the house runs")}).agree);
}

TEST(BenchTexts, RepackedSamplesStandApart) {
  BenchSample repacked = said("xyz", {7, 8, 9});
  repacked.repacked = true;
  EXPECT_TRUE(check({repacked}, {said("abc", {1, 2, 3})}).agree);
  BenchSample other = said("xzz", {7, 9, 9});
  other.repacked = true;
  EXPECT_FALSE(check({repacked, other}, {said("abc", {1, 2, 3})}).agree);
}

TEST(BenchTexts, FailedSamplesSayNothing) {
  EXPECT_EQ(check({said("abc", {1})}, {{.failure = "killed"}}).message,
            "Texts: nothing to compare.");
}

}  // namespace
}  // namespace hypura::cli
