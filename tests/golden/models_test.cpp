// Real models, in the ways they are used: long contexts, threads, quantised KV, sequences, LoRA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "golden/golden.h"
#include "golden/lora_file.h"

namespace hypura::golden {
namespace {

constexpr unsigned kSeconds = 300;

std::string storyteller() {
  return std::string(HYPURA_REPO_DIR) + "/models/storyteller-moe-q4_k_m.gguf";
}

void expect_equal(const Script& script, const std::vector<double>& shares) {
  EXPECT_EQ(in_child([&] { return compare_at_budgets(script, shares); }, kSeconds), "");
}

TEST(Storyteller, EveryBudget) {
  expect_equal({.model = storyteller()}, {0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.2});
}

TEST(Storyteller, EveryPredictor) {
  for (const PrefetchMode prefetch :
       {PrefetchMode::off, PrefetchMode::router, PrefetchMode::coactivation}) {
    expect_equal({.model = storyteller(), .prefetch = prefetch}, {0.6, 0.8});
  }
}

TEST(Storyteller, TwoThreads) { expect_equal({.model = storyteller(), .threads = 2}, {0.3}); }

TEST(Storyteller, LongContext) {
  expect_equal({.model = storyteller(),
                .prompt_tokens = 641,
                .micro_batch = 128,
                .threads = 2},
               {0.4});
}

TEST(Storyteller, WholePromptAtOnce) {
  expect_equal({.model = storyteller(), .prompt_tokens = 400, .micro_batch = 400}, {0.3});
}

TEST(Storyteller, QuantisedKv) {
  expect_equal({.model = storyteller(), .type_k = GGML_TYPE_Q8_0, .type_v = GGML_TYPE_Q8_0}, {0.4});
  expect_equal({.model = storyteller(), .type_k = GGML_TYPE_Q4_0, .type_v = GGML_TYPE_Q4_0}, {0.4});
}

TEST(Storyteller, WithoutFlashAttention) {
  expect_equal({.model = storyteller(), .flash_attention = LLAMA_FLASH_ATTN_TYPE_DISABLED}, {0.4});
}

TEST(Storyteller, TwoSequences) { expect_equal({.model = storyteller(), .sequences = 2}, {0.4}); }

TEST(Storyteller, LoraOnDenseAndExpertTensors) {
  const std::string lora = testing::TempDir() + "storyteller-lora.gguf";
  ASSERT_TRUE(write_lora(storyteller(), lora));
  expect_equal({.model = storyteller(), .lora = lora}, {0.4});
}

class SmolLM2 : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("HYPURA_SMOLLM2");
    if (path == nullptr) GTEST_SKIP() << "HYPURA_SMOLLM2 names no file: PyPI was out of reach";
    model_ = path;
  }
  std::string model_;
};

TEST_F(SmolLM2, EveryBudget) {
  expect_equal({.model = model_, .threads = 2}, {0.1, 0.3, 0.6, 0.9, 1.2});
}

TEST_F(SmolLM2, LongContextWithQuantisedKv) {
  expect_equal({.model = model_,
                .prompt_tokens = 641,
                .micro_batch = 128,
                .threads = 2,
                .type_k = GGML_TYPE_Q8_0,
                .type_v = GGML_TYPE_Q8_0},
               {0.4});
}

TEST_F(SmolLM2, LoraAndTwoSequences) {
  const std::string lora = testing::TempDir() + "smollm2-lora.gguf";
  ASSERT_TRUE(write_lora(model_, lora));
  expect_equal({.model = model_, .lora = lora, .sequences = 2}, {0.4});
}

}  // namespace
}  // namespace hypura::golden
