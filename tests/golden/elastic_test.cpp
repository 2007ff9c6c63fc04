// Caches that shrink and grow in the middle of tokens: the bits are those of a resident model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "golden/golden.h"
#include "golden/restless_sizer.h"

namespace hypura::golden {
namespace {

constexpr unsigned kSeconds = 300;

void expect_equal(Script script, const std::vector<double>& shares) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    EXPECT_EQ(in_child(
                  [&] {
                    RestlessSizer sizer(seed);
                    script.cache_sizer = &sizer;
                    const std::string text = compare_at_budgets(script, shares);
                    if (!text.empty()) return text;
                    return std::string(sizer.was_restless() ? "" : "hardly anything changed");
                  },
                  kSeconds),
              "")
        << "seed " << seed;
  }
}

std::string storyteller() {
  return std::string(HYPURA_REPO_DIR) + "/models/storyteller-moe-q4_k_m.gguf";
}

TEST(Elastic, Storyteller) {
  expect_equal({.model = storyteller(), .prompt_tokens = 81}, {0.5, 0.8, 1.2});
}

TEST(Elastic, EveryPredictor) {
  for (const PrefetchMode prefetch : {PrefetchMode::off, PrefetchMode::coactivation}) {
    expect_equal({.model = storyteller(), .prompt_tokens = 41, .prefetch = prefetch}, {0.8});
  }
}

TEST(Elastic, TwoThreadsAndAWholePromptAtOnce) {
  expect_equal({.model = storyteller(), .prompt_tokens = 200, .micro_batch = 200, .threads = 2},
               {0.9});
}

// Dense weights that stream for a while; large ones, so that they have whole pages of 2 MiB.
TEST(Elastic, DenseWeights) {
  const std::string model = testing::TempDir() + "hypura-elastic-dense.gguf";
  const std::string command = fmt::format(
      "{} --arch qwen3 --layers 2 --embd 2048 --ff 6144 --heads 16 --kv-heads 8 --vocab 1024 "
      "--quant q4_k_m --out {} > {}.log 2>&1",
      HYPURA_MAKE_MODEL, model, model);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  expect_equal({.model = model, .prompt_tokens = 41, .generated_tokens = 20}, {0.5, 0.9});
  expect_equal({.model = model,
                .prompt_tokens = 21,
                .generated_tokens = 10,
                .threads = 2,
                .sequences = 2},
               {0.6, 0.8});
  std::filesystem::remove(model);
  std::filesystem::remove(model + ".log");
}

// Experts and dense weights in the same run: the budget that has pools and a ring is a small one.
TEST(Elastic, MixedModes) {
  expect_equal({.model = storyteller(), .prompt_tokens = 81}, {0.05, 0.1, 0.2});
}

// Copied from staging, and slots that share pages.
TEST(Elastic, PackedPools) {
  const std::string model = testing::TempDir() + "hypura-elastic.gguf";
  for (const char* quant : {"IQ4_NL", "MXFP4"}) {
    const std::string command = fmt::format(
        "{} --arch qwen3moe --layers 3 --embd 288 --heads 4 --kv-heads 2 --head-dim 64 "
        "--experts 16 --used 3 --expert-ff 256 --vocab 1024 --quant {} --out {} > {}.log 2>&1",
        HYPURA_MAKE_MODEL, quant, model, model);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    expect_equal({.model = model, .prompt_tokens = 81}, {0.9, 1.2});
  }
  std::filesystem::remove(model);
  std::filesystem::remove(model + ".log");
}

}  // namespace
}  // namespace hypura::golden
