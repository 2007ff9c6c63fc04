// Every weight type ggml has kernels for, dense and routed, and the mixtures and split files that
// quantisers make. The models are small and random; hypura_make_model writes them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "golden/golden.h"

namespace hypura::golden {
namespace {

constexpr unsigned kSeconds = 120;

const char* const kDense = "--arch llama --layers 3 --embd 256 --ff 512 --heads 4 --kv-heads 2";
const char* const kRouted =
    "--arch qwen3moe --layers 3 --embd 256 --heads 4 --kv-heads 2 --experts 16 --used 4 "
    "--expert-ff 256";

class Quants : public testing::TestWithParam<std::string> {};

void compare(const std::string& shape, const std::string& options) {
  const std::string folder = testing::TempDir() + "hypura-quants";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string command = fmt::format("{} {} --vocab 1024 {} --out {}/m.gguf > {}/log 2>&1",
                                          HYPURA_MAKE_MODEL, shape, options, folder, folder);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::string model = folder + "/m.gguf";
  if (!std::filesystem::exists(model)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().string().find("-00001-of-") != std::string::npos) model = entry.path();
    }
  }
  const Script script{.model = model,
                      .prompt_tokens = 81,  // two micro-batches, and a token
                      .generated_tokens = 16};
  EXPECT_EQ(in_child([&] { return compare_at_budgets(script, {0.3, 0.7, 1.2}); }, kSeconds), "");
  std::filesystem::remove_all(folder);
}

TEST_P(Quants, Dense) { compare(kDense, "--quant " + GetParam()); }
TEST_P(Quants, Routed) { compare(kRouted, "--quant " + GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Types, Quants,
    testing::Values("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K",
                    "Q4_K", "Q5_K", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S",
                    "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "q4_k_m",
                    "q5_k_m"));

TEST(Files, SplitIntoShards) {
  compare(kDense, "--quant q4_k_m --split 3");
  compare(kRouted, "--quant q4_k_m --split 4");
}

TEST(Shapes, MixtralLike) {
  compare("--arch llama --layers 3 --embd 512 --ff 768 --heads 8 --kv-heads 4 --experts 8 --used 2 "
          "--expert-ff 768",
          "--quant q5_k_m");
}

TEST(Shapes, SharedExperts) {
  compare("--arch qwen2moe --layers 3 --embd 512 --heads 8 --kv-heads 4 --experts 12 --used 4 "
          "--expert-ff 256 --shared-ff 512",
          "--quant q4_k_m");
}

TEST(Shapes, SkewedRouting) { compare(kRouted, "--quant q4_k_m --routing skewed=1.0"); }

// Experts of 33 * 17 bytes a row: not a multiple of a disk block, not even of 64 bytes.
TEST(Shapes, ExpertBytesNotDivisibleByABlock) {
  compare("--arch qwen3moe --layers 2 --embd 288 --heads 4 --kv-heads 2 --head-dim 64 --experts 9 "
          "--used 3 --expert-ff 96",
          "--quant MXFP4");
}

}  // namespace
}  // namespace hypura::golden
