#include "residency/residency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "residency/test_support.h"

namespace hypura {
namespace {

// Pools of unequal slots and strides, two experts a token.
class CacheBytesTest : public testing::Test {
 protected:
  static constexpr uint32_t kTensors = 12;

  CacheBytesTest() : model_({experts()}) {
    Layout layout;
    for (uint32_t i = 0; i < kTensors; ++i) {
      const bool packed = i % 3 == 0;
      layout.homes.push_back({.home = Home::experts, .pool = i});
      layout.pools.push_back({.slice_bytes = packed ? 384u : 4096u,
                              .slots = i == 7 ? 1 : 12 + i % 2,
                              .packed = packed,
                              .tensors = {TensorId{i}}});
    }
    residency_ = *Residency::create(model_.index(), layout, *device_);
  }
  static GgufBytes experts() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", kTensors);
    file.number("tiny.expert_count", 16).number("tiny.expert_used_count", 2);
    for (uint32_t i = 0; i < kTensors; ++i) {
      const uint32_t rows = i % 3 == 0 ? 3 : 32;
      file.tensor({.name = "blk." + std::to_string(i) + ".ffn_up_exps.weight",
                   .ne = {32, rows, 16},
                   .bytes = 32u * rows * 4 * 16});
    }
    return file;
  }
  SlicePool& pool(uint32_t i) { return *residency_->experts(TensorId{i}).pool; }
  uint64_t now() const { return residency_->cache_bytes().now; }

  DrawnModel model_;
  std::unique_ptr<BlockDevice> device_ = make_sim_device({});
  std::unique_ptr<Residency> residency_;
};

TEST_F(CacheBytesTest, StartsWithAllAndShrinksToWhatATokenRoutesTo) {
  const CacheBytes all = residency_->cache_bytes();
  EXPECT_EQ(all.now, all.most);
  residency_->set_cache_bytes(0);
  EXPECT_EQ(now(), all.least);
  for (uint32_t i = 0; i < kTensors; ++i) {
    EXPECT_GE(pool(i).slots(), i == 7 ? 1u : 2u);
    EXPECT_EQ(pool(i).kept_bytes(), pool(i).paged_bytes(i == 7 ? 1 : 2));
  }
  residency_->set_cache_bytes(UINT64_MAX);
  EXPECT_EQ(now(), all.most);
  for (uint32_t i = 0; i < kTensors; ++i) EXPECT_EQ(pool(i).slots(), pool(i).slots_max());
}

TEST_F(CacheBytesTest, EveryPoolKeepsTheSameShare) {
  residency_->set_cache_bytes(residency_->cache_bytes().most / 2);
  for (uint32_t i = 0; i < kTensors; ++i) {
    if (i == 7 || i % 3 == 0) continue;  // one slot, or ten in a page
    EXPECT_NEAR(pool(i).slots(), pool(i).slots_max() / 2.0, 1.5) << i;
  }
}

TEST_F(CacheBytesTest, FollowsAnyTargetInItsDirectionAndAtMostAStepBehind) {
  const CacheBytes all = residency_->cache_bytes();
  Draw draw(11);
  for (int step = 0; step < 2000; ++step) {
    const uint64_t before = now();
    const uint64_t target = draw.below(all.most + 2 * all.step);
    residency_->set_cache_bytes(target);
    if (target <= before) {
      EXPECT_LE(now(), std::max(target, all.least));
      EXPECT_LE(now(), before);
    } else {
      EXPECT_GE(now(), before);
      EXPECT_LE(now(), std::max(target, before) + all.step);
      EXPECT_GT(now() + all.step, std::min(target, all.most));
    }
  }
}

TEST_F(CacheBytesTest, SmallStepsArriveEverywhere) {
  const CacheBytes all = residency_->cache_bytes();
  residency_->set_cache_bytes(0);
  for (int steps = 0; now() < all.most; ++steps) {
    const uint64_t before = now();
    residency_->set_cache_bytes(before + all.step);
    ASSERT_GT(now(), before);
    ASSERT_LT(steps, 1000);
  }
  for (uint64_t before = now(); before > all.least; before = now()) {
    residency_->set_cache_bytes(before - 1);
    ASSERT_LT(now(), before);
  }
}

}  // namespace
}  // namespace hypura
