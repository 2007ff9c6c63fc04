#include "plan/budget.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

TEST(RamBudget, TakesWords) {
  const Result<RamBudget> automatic = parse_ram_budget("auto");
  ASSERT_TRUE(automatic.ok());
  EXPECT_EQ(automatic->kind, RamBudget::Kind::automatic);
  EXPECT_FALSE(automatic->is_explicit());
  const Result<RamBudget> minimum = parse_ram_budget("min");
  ASSERT_TRUE(minimum.ok());
  EXPECT_EQ(minimum->kind, RamBudget::Kind::minimum);
  EXPECT_TRUE(minimum->is_explicit());
}

TEST(RamBudget, TakesSizes) {
  for (const auto& [text, bytes] : {std::pair("8G", 8 * kGiB), std::pair("512MiB", 512 * kMiB),
                                    std::pair("1", uint64_t{1})}) {
    const Result<RamBudget> budget = parse_ram_budget(text);
    ASSERT_TRUE(budget.ok()) << text;
    EXPECT_EQ(budget->kind, RamBudget::Kind::bytes);
    EXPECT_EQ(budget->bytes, bytes);
    EXPECT_TRUE(budget->is_explicit());
  }
}

TEST(RamBudget, TakesShares) {
  for (const auto& [text, percent] :
       {std::pair("40%", 40.0), std::pair("12.5%", 12.5), std::pair("100%", 100.0),
        std::pair("150%", 150.0), std::pair("10000%", 10000.0)}) {
    const Result<RamBudget> budget = parse_ram_budget(text);
    ASSERT_TRUE(budget.ok()) << text;
    EXPECT_EQ(budget->kind, RamBudget::Kind::percent);
    EXPECT_EQ(budget->percent, percent);
  }
}

TEST(RamBudget, RefusesEverythingElse) {
  for (const char* text :
       {"", "0", "%", "0%", "-5%", "10001%", "nan%", "inf%", "1e999%", "4 0%", "40%%", "%40", "8X",
        "-8G", "Auto", "MIN", "maximum", " 8G", "8G ", "0x10", "+5%"}) {
    const Status status = parse_ram_budget(text).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << "'" << text << "'";
    EXPECT_NE(status.message().find(text), std::string::npos);
    EXPECT_FALSE(status.hint().empty());
  }
}

TEST(GpuBudget, Parses) {
  EXPECT_EQ(parse_gpu_budget("auto")->kind, GpuBudget::Kind::automatic);
  EXPECT_EQ(parse_gpu_budget("0")->kind, GpuBudget::Kind::none);
  EXPECT_EQ(parse_gpu_budget("8G")->kind, GpuBudget::Kind::bytes);
  EXPECT_EQ(parse_gpu_budget("8G")->bytes, 8 * kGiB);
  for (const char* text : {"", "min", "50%", "-1", "8X"}) {
    EXPECT_EQ(parse_gpu_budget(text).status().code(), StatusCode::invalid_argument) << text;
  }
}

GpuBudget gpu_budget(GpuBudget::Kind kind, uint64_t bytes) {
  return {.kind = kind, .bytes = bytes};
}

TEST(GpuBudget, OfAllGpusLessTheirDrivers) {
  const std::vector<uint64_t> gpus{2 * kGiB, kGiB, 100 * kMiB};  // the last has nothing to give
  EXPECT_EQ(*resolve(GpuBudget{}, gpus), 2 * kGiB);
  EXPECT_EQ(*resolve(gpu_budget(GpuBudget::Kind::none, 0), gpus), 0u);
  EXPECT_EQ(*resolve(gpu_budget(GpuBudget::Kind::bytes, 2 * kGiB), gpus), 2 * kGiB);
  EXPECT_EQ(*resolve(gpu_budget(GpuBudget::Kind::at_most, kGiB), gpus), kGiB);
  EXPECT_EQ(*resolve(gpu_budget(GpuBudget::Kind::at_most, 8 * kGiB), gpus), 2 * kGiB);
}

TEST(GpuBudget, MoreThanThereIsIsRefused) {
  const GpuBudget budget = gpu_budget(GpuBudget::Kind::bytes, 3 * kGiB);
  const std::vector<uint64_t> gpus{2 * kGiB, kGiB};
  const Status status = resolve(budget, gpus).status();
  EXPECT_EQ(status.code(), StatusCode::does_not_fit);
  EXPECT_EQ(status.message(), "--gpu-budget 3.0 GiB: the GPU has 2.0 GiB to give");
  EXPECT_EQ(status.why(), "3.0 GiB less 1.0 GiB for its driver and libraries");
}

TEST(GpuBudget, WithoutAGpuOnlyAWishIsRefused) {
  EXPECT_EQ(*resolve(GpuBudget{}, {}), 0u);
  EXPECT_EQ(*resolve(gpu_budget(GpuBudget::Kind::at_most, kGiB), {}), 0u);
  const Status status = resolve(gpu_budget(GpuBudget::Kind::bytes, kGiB), {}).status();
  EXPECT_EQ(status.code(), StatusCode::does_not_fit);
  EXPECT_EQ(status.message(), "--gpu-budget 1.0 GiB: there is no GPU with memory of its own");
}

}  // namespace
}  // namespace hypura
