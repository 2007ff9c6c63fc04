#include "cli/bench/options.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace hypura::cli {
namespace {

Result<BenchOptions> parse(std::vector<std::string> words) {
  words.insert(words.begin(), "m.gguf");
  return parse_bench_options(words);
}

std::string refused(std::vector<std::string> words) {
  const Result<BenchOptions> options = parse(std::move(words));
  if (options.ok()) return "accepted";
  EXPECT_EQ(options.status().code(), StatusCode::invalid_argument);
  return options.status().message() + " / " + options.status().hint();
}

TEST(BenchOptions, Understands) {
  const Result<BenchOptions> options =
      parse({"--ram-budget", "40%", "--limit", "2G", "-n", "64", "--n-slow", "5", "--samples", "3",
             "--warm", "--arms", "mmap,hypura", "--drive-bytes", "64M", "--json", "--", "-t", "4"});
  ASSERT_TRUE(options.ok()) << options.status().to_string();
  EXPECT_EQ(options->budget.percent, 40);
  EXPECT_FALSE(options->fast_prompt);
  EXPECT_TRUE(parse({"--fast-prompt"})->fast_prompt);
  EXPECT_EQ(options->limit.bytes, 2 * kGiB);
  EXPECT_EQ(options->tokens, 64);
  EXPECT_EQ(options->slow_tokens, 5);
  EXPECT_TRUE(options->warm);
  EXPECT_EQ(options->arms, (std::vector<std::string>{"mmap", "hypura"}));
  EXPECT_EQ(options->drive_bytes, 64 * kMiB);
  EXPECT_EQ(options->output, BenchOutput::json);
  EXPECT_EQ(options->llama, (std::vector<std::string>{"-t", "4"}));
}

TEST(BenchOptions, SlowArmsGenerateNoMoreThanTheOthers) {
  EXPECT_EQ(parse({"-n", "4"})->slow_tokens, 4);
}

TEST(BenchOptions, Refuses) {
  EXPECT_EQ(refused({"--limit", "much"}), "--limit much: not understood / SIZE (8G), auto or off");
  EXPECT_EQ(refused({"--arms", "hypura,ollama"}),
            "--arms hypura,ollama: not understood / a list of hypura, mmap and resident");
  EXPECT_NE(refused({"--arms", "mmap,mmap"}), "accepted");
  EXPECT_NE(refused({"--arms", ""}), "accepted");
  EXPECT_NE(refused({"-o", "xml"}), "accepted");
  EXPECT_NE(refused({"--drive-bytes", "0"}), "accepted");
  EXPECT_NE(refused({"--cold", "--warm"}), "accepted");
  EXPECT_NE(refused({"--stock-repack"}), "accepted") << "without --stock";
  EXPECT_NE(refused({"-n", "1"}), "accepted") << "one token has no decode rate";
  EXPECT_NE(refused({"--samples", "0"}), "accepted");
  EXPECT_NE(refused({"--ram-budget", "x"}), "accepted");
}

TEST(BenchOptions, SaysWhereLlamaOptionsBelong) {
  EXPECT_EQ(refused({"-t", "4"}), "-t is an option of llama.cpp / hypura bench MODEL ... -- -t");
  EXPECT_EQ(
      refused({"--", "--temp", "1"}),
      "--temp is decided by bench itself / -p, -n and --ctx before the --; sampling is always "
      "greedy");
  EXPECT_EQ(refused({"--", "--samples", "3"}),
            "--samples is not an option of llama.cpp / bench's own options stand before the --");
  EXPECT_NE(refused({"--", "-ngl", "1"}), "accepted");
  EXPECT_EQ(refused({"--sampels", "3"}), "unknown option --sampels / did you mean --samples?");
}

}  // namespace
}  // namespace hypura::cli
