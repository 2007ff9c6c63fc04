#include "cli/bench/sample.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

constexpr const char* kRun = R"({
  "schema": 1, "text": "ab", "token_ids": [5, 6, 7], "mode": "experts", "tokens_generated": 3,
  "load_seconds": 0.5, "ttft_seconds": 0.25, "prefill_tps": 20, "decode_tps": 8.5,
  "decode": {"steps": 2, "bytes_read": 3000, "stall_seconds": 0.1, "expert_hit_rate": 0.75},
  "budgets": {"ram_bytes": 1000, "fixed_bytes": 100}, "numerics": {"repack": false}})";

TEST(BenchSample, OfHypura) {
  BenchSample sample;
  ASSERT_TRUE(read_run_json(kRun, sample));
  EXPECT_EQ(sample.decode_tps, 8.5);
  EXPECT_EQ(sample.tokens, 3u);
  EXPECT_EQ(sample.token_ids, (std::vector<int>{5, 6, 7}));
  EXPECT_EQ(sample.token_bytes, 1500);
  EXPECT_EQ(sample.token_stall_seconds, 0.05);
  EXPECT_EQ(sample.expert_hit_rate, 0.75);
  EXPECT_EQ(sample.budget_bytes, 1000u);
  EXPECT_EQ(sample.fixed_bytes, 100u);
  EXPECT_EQ(sample.mode, "experts");
}

TEST(BenchSample, ResidentHasNoHitsAndNoBudget) {
  std::string run = kRun;
  run.replace(run.find("0.75"), 4, "null");
  run.replace(run.find("1000,"), 5, "null,");
  BenchSample sample;
  ASSERT_TRUE(read_run_json(run, sample));
  EXPECT_FALSE(sample.expert_hit_rate.has_value());
  EXPECT_EQ(sample.budget_bytes, 0u);
}

TEST(BenchSample, WhatIsNoRunChangesNothing) {
  std::string short_of_a_key = kRun;
  short_of_a_key.replace(short_of_a_key.find("\"text\""), 6, "\"txet\"");
  for (const std::string& out : {std::string(), std::string("{"), std::string("[1]"),
                                 std::string("{\"schema\": 1}"), short_of_a_key}) {
    BenchSample sample{.failure = "before"};
    EXPECT_FALSE(read_run_json(out, sample)) << out;
    EXPECT_EQ(sample.failure, "before");
  }
}

TEST(BenchSample, OfStockLlama) {
  const char* err =
      "0.1 I common_perf_print: prompt eval time =  9378.40 ms /  6 tokens "
      "( 1563.07 ms per token,     0.64 tokens per second)\n"
      "0.1 I common_perf_print:        eval time = 42233.73 ms / 23 runs   "
      "( 1836.25 ms per token,     0.54 tokens per second)\n"
      "0.1 I common_perf_print:       total time = 51612.13 ms / 29 tokens\n";
  BenchSample sample;
  ASSERT_TRUE(read_stock_output("the text", err, sample));
  EXPECT_EQ(sample.decode_tps, 0.54);
  EXPECT_EQ(sample.prefill_tps, 0.64);
  EXPECT_EQ(sample.tokens, 24u);
  EXPECT_EQ(sample.text, "the text");
  EXPECT_TRUE(sample.token_ids.empty());
  EXPECT_FALSE(read_stock_output("the text", "error: no such file\n", sample));
  EXPECT_FALSE(read_stock_output("the text", "", sample));
}

}  // namespace
}  // namespace hypura::cli
