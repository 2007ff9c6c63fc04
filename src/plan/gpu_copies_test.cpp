#include "plan/gpu_copies.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/gguf_bytes_for_test.h"
#include "plan/cost_model.h"

namespace hypura {
namespace {

TEST(HeatOf, IsTheHeatThatGivesTheHits) {
  for (const double heat : {0.0, 0.3, 0.5, 1.0, 2.0}) {
    for (const uint32_t slots : {10u, 40u, 100u}) {
      EXPECT_NEAR(heat_of(expected_hits(slots, 1, 128, 8, heat), slots, 128, 8), heat, 0.01)
          << slots << " slots";
    }
  }
}

TEST(HeatOf, StaysInBounds) {
  EXPECT_NEAR(heat_of(0, 40, 128, 8), 0, 0.001);
  EXPECT_NEAR(heat_of(1, 40, 128, 8), 3, 0.001);
}

// Four layers of attention and 32 experts each, four of which a token uses.
class Copies : public testing::Test {
 protected:
  Copies() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 4);
    file.number("tiny.expert_count", 32).number("tiny.expert_used_count", kUsed);
    add(file, "output.weight", {64, 64});
    for (const std::string block : {"blk.0.", "blk.1.", "blk.2.", "blk.3."}) {
      add(file, block + "attn_q.weight", {64, 64});
      add(file, block + "ffn_up_exps.weight", {64, 64, 32});
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    // Room for one layer's experts besides what all need.
    input_ = {.bytes = 5 * kMatrix + 2 * (kTensor + 4096) + kTensor, .experts_used = kUsed};
    copying_ = choose_gpu_share(index_, input_);
    staying_ = choose_gpu_share(index_, {.bytes = input_.bytes});
  }
  bool pay(double upload_gbps, double cpu_gbps, double heat) const {
    return copies_pay(index_, copying_, staying_,
                      {.upload_gbps = upload_gbps, .cpu_gbps = cpu_gbps}, heat);
  }

  static constexpr uint32_t kUsed = 4;
  static constexpr uint64_t kMatrix = 64 * 64 * 2;
  static constexpr uint64_t kTensor = 32 * kMatrix;
  TestDirectory directory_;
  ModelIndex index_;
  GpuShareInput input_;
  GpuShare copying_;
  GpuShare staying_;

 private:
  static void add(GgufBytes& file, const std::string& name, const std::vector<int64_t>& ne) {
    uint64_t bytes = 2;
    for (const int64_t n : ne) bytes *= static_cast<uint64_t>(n);
    file.tensor({.name = name, .ne = ne, .type = GgufBytes::kF16, .bytes = bytes});
  }
};

TEST_F(Copies, WhatIsNotCachedIsCopied) {
  GpuShare::Experts experts = *copying_.experts;
  for (uint32_t& slots : experts.slots) slots = slots > 0 ? 8 : 0;
  EXPECT_EQ(batch_copy_bytes(index_, experts), 4 * (32 - 8) * kMatrix);
  EXPECT_DOUBLE_EQ(token_copy_bytes(index_, experts, 0), 4 * kUsed * kMatrix * (32.0 - 8) / 32);
  EXPECT_LT(token_copy_bytes(index_, experts, 1), token_copy_bytes(index_, experts, 0) / 1.5);
}

TEST_F(Copies, PayWhereMissesTravelFasterThanTheCpuComputesTheOthers) {
  ASSERT_TRUE(copying_.experts.has_value());
  const uint32_t slots = copying_.experts->slots[copying_.experts->first().value];
  ASSERT_GE(slots, kUsed);
  double others = 0;  // of the layers' experts that stay below, each used as often
  for (uint32_t i = 0; i < index_.tensors().size(); ++i) {
    if (index_.tensor(TensorId{i}).role == TensorRole::expert) others += !staying_.on_gpu[i];
  }
  ASSERT_GT(others, 0);
  const double missed = 4 * (1 - slots / 32.0);
  const double even = missed / others;  // of upload to CPU, where both are as fast
  EXPECT_TRUE(pay(10 * even * 1.01, 10, 0));
  EXPECT_FALSE(pay(10 * even * 0.99, 10, 0));
  EXPECT_TRUE(pay(10 * even * 0.99, 10, 0.5)) << "hotter experts are missed less";
}

TEST_F(Copies, OnceTheyPayTheyGoOnToWithAFasterBusAndHotterRouting) {
  for (const double cpu : {1.0, 10.0, 100.0}) {
    for (const double heat : {0.0, 0.5, 1.0}) {
      bool before = false;
      for (double upload = 0.125; upload < 1000; upload *= 1.25) {
        const bool now = pay(upload, cpu, heat);
        EXPECT_TRUE(now || !before) << upload << " GB/s, heat " << heat;
        EXPECT_TRUE(pay(upload, cpu, heat + 0.5) || !now) << upload << " GB/s, heat " << heat;
        EXPECT_TRUE(pay(upload, cpu / 2, heat) || !now) << "a slower CPU";
        before = now;
      }
      EXPECT_TRUE(before) << "a bus of 1000 GB/s";
    }
  }
}

TEST_F(Copies, EveryLayerIsWaitedForWhereTheyAreMade) {
  ASSERT_TRUE(pay(40, 10, 0));
  const auto pay_where = [&](double layer_seconds) {
    return copies_pay(index_, copying_, staying_,
                      {.upload_gbps = 40, .cpu_gbps = 10, .layer_seconds = layer_seconds}, 0);
  };
  EXPECT_TRUE(pay_where(1e-9));
  EXPECT_FALSE(pay_where(1e-3)) << "four layers in place of those below";
}

TEST_F(Copies, WhatIsNotKnown) {
  EXPECT_FALSE(pay(0, 10, 1)) << "a bus that nobody measured";
  EXPECT_TRUE(pay(1, 0, 0)) << "a CPU without kernels";
}

TEST_F(Copies, TheBetterShareIsTheOneThatPays) {
  const CopyRates fast_bus{.upload_gbps = 100, .cpu_gbps = 1};
  const CopyRates slow_bus{.upload_gbps = 1, .cpu_gbps = 100};
  const uint64_t rest = index_.info().weight_bytes - copying_.weight_bytes;
  const GpuShare fast = better_share(index_, copying_, input_, fast_bus, 0, rest);
  ASSERT_TRUE(fast.experts.has_value());
  EXPECT_EQ(fast.experts->slots, copying_.experts->slots);
  const GpuShare slow = better_share(index_, copying_, input_, slow_bus, 0, rest);
  EXPECT_FALSE(slow.experts.has_value());
  EXPECT_EQ(slow.on_gpu, staying_.on_gpu);
  EXPECT_NE(slow.on_gpu, copying_.on_gpu) << "whole layers in place of slots";
  const GpuShare tight = better_share(index_, copying_, input_, fast_bus, 0, rest - 1);
  EXPECT_FALSE(tight.experts.has_value()) << "the drive would be waited for";
}

TEST_F(Copies, ExpertsAreInRamForGoodWhereAllFit) {
  PlacementInput input{.uses = assumed_uses(index_), .elastic = true, .experts_used = kUsed};
  input.pins_experts = true;
  const uint64_t enough = minimum_weight_budget(index_, input);
  input.pins_experts = false;
  ASSERT_LT(minimum_weight_budget(index_, input), enough);
  input.weight_budget = enough;
  place_for_copies(index_, input);
  EXPECT_TRUE(input.pins_experts);
  EXPECT_FALSE(input.elastic) << "the GPU reads from there by itself";
  input.weight_budget = enough - 1;
  place_for_copies(index_, input);
  EXPECT_FALSE(input.pins_experts);
}

TEST(CopyRatesOf, AProfileAndNothingWhereItKnowsNothing) {
  constexpr int kF16 = static_cast<int>(GgufBytes::kF16);
  MachineProfile machine;
  EXPECT_EQ(copy_rates(machine, kF16, 2).upload_gbps, 0);
  EXPECT_EQ(copy_rates(machine, kF16, 2).cpu_gbps, 0);
  machine.gpus = {{.name = "g", .upload_gbps = 25}};
  machine.compute = {{.type = "f16", .threads = 2, .token_gbps = 9, .expert_gbps = 7},
                     {.type = "f16", .threads = 4, .token_gbps = 9, .expert_gbps = 8}};
  EXPECT_EQ(copy_rates(machine, kF16, 2).upload_gbps, 25);
  EXPECT_EQ(copy_rates(machine, kF16, 2).cpu_gbps, 7);
  EXPECT_EQ(copy_rates(machine, kF16, 4).cpu_gbps, 8);
}

}  // namespace
}  // namespace hypura
