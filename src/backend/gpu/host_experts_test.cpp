#include "backend/gpu/host_experts.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "residency/test_support.h"

namespace hypura {
namespace {

constexpr uint32_t kExperts = 16;
constexpr uint32_t kSlots = 6;    // of the tensor's pool
constexpr uint32_t kPassing = 3;  // beside it

class HostExpertsTest : public testing::Test {
 protected:
  HostExpertsTest() : model_({file()}) {
    const TensorInfo& tensor = model_.tensor(kTensor);
    const PoolLayout pool{
        .slice_bytes = tensor.expert_bytes(), .slots = kSlots, .tensors = {model_.id(kTensor)}};
    Layout layout{.homes = {{.home = Home::experts}}, .pools = {pool}, .transits = {pool}};
    layout.transits[0].slots = kPassing;
    residency_ = *Residency::create(model_.index(), layout, *device_);
    experts_ = std::make_unique<HostExperts>(model_.index(), *residency_, nullptr);
  }
  static GgufBytes file() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 1);
    file.number("tiny.expert_count", kExperts).number("tiny.expert_used_count", 2);
    file.tensor({.name = kTensor, .ne = {32, 32, kExperts}, .bytes = 32u * 32 * 4 * kExperts});
    return file;
  }

  // Experts [first, end); those that were taken, all of which have the file's bytes.
  std::set<uint32_t> fetch(uint32_t first, uint32_t end, HostExperts::For what) {
    std::vector<ExpertSlice> wanted;
    for (uint32_t expert = first; expert < end; ++expert) {
      wanted.push_back({.tensor = model_.id(kTensor), .expert = expert});
    }
    experts_->count_uses(wanted);
    std::set<uint32_t> taken;
    passing_.clear();
    const auto take = [&](size_t k, size_t count, const std::byte* data) {
      EXPECT_EQ(count, 1u);
      const uint32_t expert = wanted[k].expert;
      const TensorInfo& tensor = model_.tensor(kTensor);
      const FileRange range{.offset = tensor.offset + expert * tensor.expert_bytes(),
                            .bytes = tensor.expert_bytes()};
      EXPECT_TRUE(model_.matches(data, range)) << expert;
      EXPECT_TRUE(taken.insert(expert).second) << expert;
      passing_.push_back(held(residency_->transit(wanted[k].tensor)));
    };
    EXPECT_TRUE(experts_->fetch(wanted, what, take, [&] { ++settled_; }).ok());
    experts_->release();
    return taken;
  }
  // Of the tensor's experts, those in its pool or in transit.
  uint32_t held(const PooledTensor& from) const {
    uint32_t count = 0;
    for (uint32_t expert = 0; expert < kExperts; ++expert) {
      count += from.pool->holds(from.source, expert);
    }
    return count;
  }

  static constexpr const char* kTensor = "blk.0.ffn_up_exps.weight";

  DrawnModel model_;
  std::unique_ptr<BlockDevice> device_ = make_sim_device({});
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<HostExperts> experts_;
  std::vector<uint32_t> passing_;  // in transit or asked for it, when each expert was taken
  int settled_ = 0;
};

TEST_F(HostExpertsTest, ABatchOfMoreExpertsThanSlotsGetsEach) {
  EXPECT_EQ(fetch(0, kExperts, HostExperts::For::batch).size(), kExperts);
  EXPECT_GT(settled_, 0);
}

TEST_F(HostExpertsTest, WhatIsMissingIsAskedForBeforeWhatIsThereIsTaken) {
  fetch(0, kSlots, HostExperts::For::batch);
  EXPECT_EQ(fetch(0, kExperts, HostExperts::For::batch).size(), kExperts);
  // Those in the pool come first. Until they are settled only transit slots can be read into.
  for (uint32_t k = 0; k < kSlots; ++k) EXPECT_EQ(passing_[k], kPassing) << k;
}

TEST_F(HostExpertsTest, WhatPassedThroughIsFoundThere) {
  fetch(0, kSlots, HostExperts::For::batch);
  fetch(0, kSlots + kPassing, HostExperts::For::batch);
  const uint64_t read = residency_->stats().bytes_read;
  const int settled = settled_;
  EXPECT_EQ(fetch(0, kSlots + kPassing, HostExperts::For::batch).size(), kSlots + kPassing);
  EXPECT_EQ(residency_->stats().bytes_read, read);
  EXPECT_EQ(settled_, settled);
}

TEST_F(HostExpertsTest, ATokensExpertsLieInThePool) {
  const TensorId id = model_.id(kTensor);
  EXPECT_EQ(fetch(0, kSlots, HostExperts::For::token).size(), kSlots);
  EXPECT_EQ(held(residency_->experts(id)), kSlots);
  EXPECT_EQ(fetch(4, 4 + kSlots, HostExperts::For::token).size(), kSlots);
  EXPECT_EQ(held(residency_->transit(id)), 0u);
}

}  // namespace
}  // namespace hypura
