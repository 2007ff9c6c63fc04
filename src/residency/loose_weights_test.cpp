#include "residency/loose_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "residency/residency.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

// Ten dense weights of 18 to 36 pages, of which the fourth streams and the last has to stay, and a
// norm.
class LooseWeightsTest : public testing::Test {
 protected:
  static constexpr uint32_t kWeights = 10;

  LooseWeightsTest() : model_({dense()}) {
    Layout layout;
    layout.homes.resize(kWeights, {.home = Home::pinned, .piece_rows = 64});
    layout.homes[3].home = Home::stream;
    layout.homes[kWeights - 1].piece_rows = 0;
    layout.homes.push_back({.home = Home::pinned});
    layout.ring_slots = 4;
    layout.ring_slot_bytes = widened_bytes(64 * 1000);
    residency_ = *Residency::create(model_.index(), layout, device_);
    EXPECT_TRUE(residency_->load_pinned(nullptr).ok());
  }
  static uint32_t rows(uint32_t i) { return 64 + (i % 3) * 40; }
  static GgufBytes dense() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", kWeights);
    for (uint32_t i = 0; i < kWeights; ++i) {
      file.tensor({.name = "blk." + std::to_string(i) + ".attn_q.weight",
                   .ne = {250, rows(i)},
                   .bytes = 1000 * rows(i)});
    }
    file.tensor({.name = "output_norm.weight", .ne = {33}, .bytes = 132});
    return file;
  }
  bool pinned(uint32_t i) const { return residency_->pinned(TensorId{i}) != nullptr; }
  uint32_t streamed() const {
    uint32_t count = 0;
    for (uint32_t i = 0; i < kWeights; ++i) count += !pinned(i);
    return count;
  }
  uint64_t now() const { return residency_->cache_bytes().now; }

  // A token: every weight has its bytes, wherever it is.
  void use_all() {
    for (uint32_t i = 0; i < kWeights; ++i) {
      const TensorInfo& tensor = model_.index().tensors()[i];
      ASSERT_EQ(residency_->home(TensorId{i}), pinned(i) ? Home::pinned : Home::stream);
      if (pinned(i)) {
        ASSERT_TRUE(model_.matches(residency_->pinned(TensorId{i}), tensor)) << i;
        continue;
      }
      for (uint32_t number = 0; number < residency_->piece_count(TensorId{i}); ++number) {
        const Residency::Piece piece = residency_->piece(TensorId{i}, number);
        const Result<DenseRing::PieceLease> lease = residency_->ring().acquire(piece.index);
        ASSERT_TRUE(lease.ok());
        const FileRange range{
            .shard = tensor.shard,
            .offset = tensor.offset + static_cast<uint64_t>(piece.first_row) * 1000,
            .bytes = static_cast<uint64_t>(piece.rows) * 1000};
        ASSERT_TRUE(model_.matches(lease->data(), range)) << i << ", " << number;
      }
    }
    const TensorInfo& norm = model_.index().tensors()[kWeights];
    ASSERT_TRUE(model_.matches(residency_->pinned(TensorId{kWeights}), norm));
  }

  DrawnModel model_;
  BoundedDevice device_{SimOptions{}};
  std::unique_ptr<Residency> residency_;
};

TEST_F(LooseWeightsTest, GoAndComeBack) {
  const CacheBytes all = residency_->cache_bytes();
  EXPECT_EQ(all.least, 0u);
  EXPECT_EQ(all.now, all.most);
  EXPECT_GT(all.most, 8 * 15u * 4096);
  use_all();
  EXPECT_EQ(residency_->set_cache_bytes(0).size(), 8u);
  EXPECT_EQ(now(), 0u);
  EXPECT_TRUE(pinned(kWeights - 1)) << "it has to stay";
  use_all();
  use_all();
  EXPECT_EQ(residency_->set_cache_bytes(UINT64_MAX).size(), 8u);
  EXPECT_EQ(now(), all.most);
  EXPECT_EQ(streamed(), 1u);
  use_all();
}

TEST_F(LooseWeightsTest, AreSpreadOverTheModel) {
  residency_->set_cache_bytes(residency_->cache_bytes().most / 2);
  uint32_t neighbours = 0;
  for (uint32_t i = 0; i + 1 < kWeights; ++i) neighbours += !pinned(i) && !pinned(i + 1);
  EXPECT_GE(streamed(), 4u);
  EXPECT_LE(neighbours, 2u);
}

TEST_F(LooseWeightsTest, AreExpectedOnceTheyAreKnownToStream) {
  residency_->set_cache_bytes(0);
  use_all();
  use_all();
  const uint64_t resyncs = residency_->ring().stats().resyncs;
  use_all();
  EXPECT_EQ(residency_->ring().stats().resyncs, resyncs);
}

TEST_F(LooseWeightsTest, AnyHistoryKeepsTheBytes) {
  const uint64_t most = residency_->cache_bytes().most;
  Draw draw(5);
  for (int step = 0; step < 300 && !HasFailure(); ++step) {
    const uint64_t target = draw.below(most + 100'000);
    const uint64_t before = now();
    const std::vector<TensorId> moved = residency_->set_cache_bytes(target);
    EXPECT_EQ(moved.empty(), now() == before);
    EXPECT_LE(now(), std::max(before, target));
    if (target < before) {
      EXPECT_LE(now(), target);
    }
    if (draw.below(3) > 0) use_all();
  }
}

TEST_F(LooseWeightsTest, AWeightThatCannotBeReadStaysOnTheDrive) {
  residency_->set_cache_bytes(0);
  model_.shrink(0, 5000);
  EXPECT_TRUE(residency_->set_cache_bytes(UINT64_MAX).empty());
  EXPECT_EQ(streamed(), 9u);
  model_.restore(0);
  residency_->set_cache_bytes(UINT64_MAX);
  EXPECT_EQ(streamed(), 1u);
  use_all();
}

}  // namespace
}  // namespace hypura
