#include "backend/expert_prefetch.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "residency/test_support.h"

namespace hypura {
namespace {

using Experts = std::vector<int32_t>;

// Names what it is told to, and notes what it is asked and told.
struct Told {
  Experts ranked;
  std::vector<uint32_t> asked;  // the next layers
  std::vector<Experts> observed;
};

class ToldPredictor final : public ExpertPredictor {
 public:
  explicit ToldPredictor(Told& told) : told_(told) {}
  void predict(const RoutingStep& step, std::vector<int32_t>& ranked) override {
    told_.asked.push_back(step.next_layer);
    ranked = told_.ranked;
  }
  void observe(uint32_t, std::span<const int32_t>, std::span<const int32_t> next) override {
    told_.observed.emplace_back(next.begin(), next.end());
  }

 private:
  Told& told_;
};

// Layers 0, 1 and 3 stream, the first two with chunked experts, too; 2 is pinned.
class ExpertPrefetchTest : public testing::Test {
 protected:
  ExpertPrefetchTest() : model_({experts()}) { start(6); }

  void start(uint32_t slots) {
    prefetch_.reset();
    Layout layout;
    std::vector<TensorId> order;
    for (uint32_t i = 0; i < model_.index().tensors().size(); ++i) {
      const TensorInfo& tensor = model_.index().tensors()[i];
      if (tensor.layer == 2) {
        layout.homes.push_back({.home = Home::pinned});
        continue;
      }
      layout.homes.push_back(
          {.home = Home::experts, .pool = static_cast<uint32_t>(layout.pools.size())});
      layout.pools.push_back(
          {.slice_bytes = tensor.expert_bytes(), .slots = slots, .tensors = {TensorId{i}}});
      order.push_back(TensorId{i});
    }
    residency_ = *Residency::create(model_.index(), layout, *device_);
    ASSERT_TRUE(residency_->load_pinned({}).ok());
    order_ = std::make_unique<ExpertOrder>(model_.index(), order);
    prefetch_ = std::make_unique<ExpertPrefetch>(*residency_, *order_,
                                                 std::make_unique<ToldPredictor>(told_));
  }
  static GgufBytes experts() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 4);
    file.number("tiny.expert_count", 8).number("tiny.expert_used_count", 2);
    const auto add = [&](const std::string& name, uint32_t count) {
      file.tensor({.name = name, .ne = {32, 32, count}, .bytes = 32u * 32 * 4 * count});
    };
    for (const char layer : {'0', '1', '2', '3'}) {
      const std::string block = std::string("blk.") + layer;
      add(block + ".ffn_up_exps.weight", 8);
      if (layer < '2') add(block + ".ffn_up_chexps.weight", 4);
    }
    return file;
  }

  void route(const char* tensor, const Experts& experts, int64_t tokens = 1) {
    prefetch_->on_routing(model_.id(tensor), experts, &input_, tokens);
  }
  void read_all() {
    prefetch_->read_ahead();
    while (!residency_->reader().idle()) residency_->reader().wait_one();
  }
  // From the first layer on, with what is named there.
  void guess(const Experts& ranked) {
    told_.ranked = ranked;
    route(kFirst, {1, 2});
    read_all();
  }
  bool is_ready(const char* tensor, uint32_t expert) const {
    const PooledTensor pooled = residency_->experts(model_.id(tensor));
    return pooled.pool->is_ready(pooled.source, expert);
  }

  static constexpr const char* kFirst = "blk.0.ffn_up_exps.weight";
  static constexpr const char* kSecond = "blk.1.ffn_up_exps.weight";
  static constexpr const char* kChunked = "blk.1.ffn_up_chexps.weight";
  static constexpr const char* kLast = "blk.3.ffn_up_exps.weight";

  Told told_;
  DrawnModel model_;
  std::unique_ptr<BlockDevice> device_ = make_sim_device({});
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<ExpertOrder> order_;
  std::unique_ptr<ExpertPrefetch> prefetch_;
  const ggml_tensor input_{};
};

TEST_F(ExpertPrefetchTest, ReadsWhatIsNamedAndIsJudgedByTheNextLayer) {
  guess({5, 3});
  EXPECT_TRUE(is_ready(kSecond, 5));
  EXPECT_TRUE(is_ready(kSecond, 3));
  route(kSecond, {5, 7});
  EXPECT_EQ(prefetch_->stats().guesses, 2u);
  EXPECT_EQ(prefetch_->stats().used, 1u);
  EXPECT_EQ(told_.asked, std::vector<uint32_t>{1});
  EXPECT_EQ(told_.observed, std::vector<Experts>{(Experts{5, 7})});
}

TEST_F(ExpertPrefetchTest, ExpertsOfAnotherCountAreOtherExperts) {
  guess({7, 3});
  EXPECT_TRUE(is_ready(kSecond, 7));
  EXPECT_FALSE(is_ready(kChunked, 3));
}

TEST_F(ExpertPrefetchTest, WhatNoTensorHasIsLeftOut) {
  guess({99, 3});
  EXPECT_TRUE(is_ready(kSecond, 3));
  EXPECT_EQ(prefetch_->stats().guesses, 1u);
}

TEST_F(ExpertPrefetchTest, AnotherGraphOfTheLayerKeepsItsGuesses) {
  told_.ranked = {5, 3};
  route(kFirst, {1, 2});
  route("blk.0.ffn_up_chexps.weight", {0, 1});
  EXPECT_EQ(told_.asked, std::vector<uint32_t>{1});
  read_all();
  route(kSecond, {5, 3});
  EXPECT_EQ(prefetch_->stats().guesses, 2u);
  EXPECT_EQ(prefetch_->stats().used, 2u);
}

TEST_F(ExpertPrefetchTest, ALayerThatIsPinnedIsNotLookedPast) {
  route(kSecond, {5, 3});
  EXPECT_TRUE(told_.asked.empty());
}

TEST_F(ExpertPrefetchTest, AnotherTokenExpectsNothing) {
  guess({5, 3});
  route(kFirst, {5, 3});
  EXPECT_EQ(prefetch_->stats().used, 0u);
  EXPECT_TRUE(told_.observed.empty());
  route(kLast, {5, 3});
  EXPECT_TRUE(told_.observed.empty());
  EXPECT_EQ(told_.asked.size(), 2u) << "nothing is behind the last";
}

TEST_F(ExpertPrefetchTest, BatchesAreNotGuessedFor) {
  route(kFirst, {1, 2, 3}, 2);
  EXPECT_TRUE(told_.asked.empty());
}

TEST_F(ExpertPrefetchTest, FewSlotsAreLeftToWhatIsUsed) {
  start(3);
  guess({5, 3});
  EXPECT_FALSE(is_ready(kSecond, 5));
  EXPECT_EQ(prefetch_->stats().guesses, 0u);
}

TEST_F(ExpertPrefetchTest, OnlyBatchesAreReadForPastALayerThatIsPinned) {
  EXPECT_TRUE(order_->next_to(model_.id(kSecond)).empty());
  ASSERT_EQ(order_->behind(model_.id(kSecond)).size(), 1u);
  EXPECT_EQ(order_->behind(model_.id(kSecond)).front(), model_.id(kLast));
  EXPECT_EQ(order_->next_to(model_.id(kFirst)).size(), 2u);
  EXPECT_TRUE(order_->behind(model_.id(kLast)).empty());
}

}  // namespace
}  // namespace hypura
