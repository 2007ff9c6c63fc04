#include "plan/repacked_placement.h"

#include <gtest/gtest.h>

#include <string>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

constexpr uint64_t kMatrixBytes = 256 * 256 * 2;

// Blocks of a norm, a router and two matrices, of which the first can be repacked, to `growth`
// times its size.
class RepackedPlacement : public testing::Test {
 protected:
  void build(uint32_t blocks, double growth = 1) {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", blocks);
    const auto add = [&](const std::string& name, const std::vector<int64_t>& ne, TensorUse use,
                         uint64_t repacked) {
      uint64_t bytes = 2;
      for (const int64_t n : ne) bytes *= static_cast<uint64_t>(n);
      file.tensor({.name = name, .ne = ne, .type = GgufBytes::kF16, .bytes = bytes});
      input_.uses.push_back(use);
      repacked_bytes_.push_back(repacked);
    };
    const TensorUse matmul{.mapped = true, .matmul = true};
    const TensorUse whole{.mapped = true, .whole = true};
    const uint64_t repacked = static_cast<uint64_t>(growth * double{kMatrixBytes});
    for (uint32_t block = 0; block < blocks; ++block) {
      const std::string prefix = "blk." + std::to_string(block) + ".";
      add(prefix + "attn_norm.weight", {256}, whole, 0);
      add(prefix + "ffn_gate_inp.weight", {256, 64}, matmul, 64 * kKiB);
      add(prefix + "attn_q.weight", {256, 256}, matmul, repacked);
      add(prefix + "attn_output.weight", {256, 256}, matmul, 0);
    }
    Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    index_ = *std::move(index);
  }

  Result<Layout> place_in(uint64_t budget) {
    input_.weight_budget = budget;
    return place_repacked(index_, input_, repacked_bytes_);
  }
  uint64_t minimum() const { return minimum_weight_budget(index_, input_); }
  uint64_t plenty() const { return 4 * index_.info().weight_bytes + minimum(); }

  // Each home is one the tensor may have, and repacked_bytes is what those that moved take.
  void expect_valid(const Layout& layout, uint64_t budget) const {
    uint64_t moved_bytes = 0;
    for (uint32_t i = 0; i < layout.homes.size(); ++i) {
      ASSERT_NE(layout.homes[i].home, Home::unused) << index_.tensors()[i].name;
      if (layout.homes[i].home != Home::repacked) continue;
      ASSERT_GT(repacked_bytes_[i], 0u);
      ASSERT_NE(index_.tensors()[i].role, TensorRole::router);
      moved_bytes += repacked_bytes_[i];
    }
    EXPECT_EQ(layout.repacked_bytes, moved_bytes == 0 ? 0 : moved_bytes + kRepackOverheadBytes);
    EXPECT_LE(layout.total_bytes() + layout.repacked_bytes, budget);
  }

  TestDirectory directory_;
  ModelIndex index_;
  PlacementInput input_;
  std::vector<uint64_t> repacked_bytes_;
};

uint64_t count(const Layout& layout, Home home) {
  uint64_t found = 0;
  for (const TensorHome& each : layout.homes) found += each.home == home;
  return found;
}

TEST_F(RepackedPlacement, MovesAllThatIsPinnedAndCanBe) {
  build(8);
  const Result<Layout> layout = place_in(plenty());
  ASSERT_TRUE(layout.ok());
  expect_valid(*layout, plenty());
  EXPECT_EQ(count(*layout, Home::repacked), 8u);
  EXPECT_EQ(count(*layout, Home::pinned), 3 * 8u);
}

TEST_F(RepackedPlacement, IsPlainPlacementWhereNothingCanBe) {
  build(8);
  repacked_bytes_.assign(repacked_bytes_.size(), 0);
  const Result<Layout> layout = place_in(plenty());
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(count(*layout, Home::repacked), 0u);
  EXPECT_EQ(layout->pinned_bytes, place(index_, input_)->pinned_bytes);
}

TEST_F(RepackedPlacement, KeepsEveryBudget) {
  for (const double growth : {1.0, 1.5, 4.0}) {
    input_ = {};
    repacked_bytes_.clear();
    build(12, growth);
    for (uint64_t budget = minimum(); budget <= plenty(); budget += 37 * kKiB) {
      SCOPED_TRACE(budget);
      const Result<Layout> layout = place_in(budget);
      ASSERT_TRUE(layout.ok()) << layout.status().to_string();
      expect_valid(*layout, budget);
    }
  }
}

TEST_F(RepackedPlacement, TheLeastBudgetStillWorks) {
  build(8);
  EXPECT_TRUE(place_in(minimum()).ok());
  const Result<Layout> too_small = place_in(minimum() - 1);
  ASSERT_FALSE(too_small.ok());
  EXPECT_EQ(too_small.status().code(), StatusCode::does_not_fit);
}

// Between streaming all and keeping all, some is repacked and some streams.
TEST_F(RepackedPlacement, TheRestStreams) {
  build(12);
  const uint64_t budget = minimum() + index_.info().weight_bytes * 5 / 6;
  const Result<Layout> layout = place_in(budget);
  ASSERT_TRUE(layout.ok());
  EXPECT_GT(count(*layout, Home::repacked), 0u);
  EXPECT_GT(count(*layout, Home::stream), 0u);
  EXPECT_EQ(layout->ring_slots, place(index_, input_)->ring_slots) << "it reads ahead as far";
}

// What is read to be repacked passes through memory that the rest must be able to lend.
TEST_F(RepackedPlacement, LeavesRoomToReadTheLargest) {
  build(4);
  for (uint64_t budget = minimum(); budget <= plenty(); budget += 4 * kKiB) {
    const Result<Layout> layout = place_in(budget);
    ASSERT_TRUE(layout.ok());
    if (layout->repacked_bytes == 0) continue;
    EXPECT_LE(widened_bytes(kMatrixBytes), budget - layout->repacked_bytes);
  }
}

}  // namespace
}  // namespace hypura
