#include "model/pinned_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

// Tensors a, b, c, ... of these sizes, in bytes that are multiples of 32, one after the other.
class PinnedRunsTest : public testing::Test {
 protected:
  void build(const std::vector<int64_t>& sizes) {
    GgufBytes file;
    file.text("general.architecture", "tiny");
    for (size_t i = 0; i < sizes.size(); ++i) {
      file.tensor({.name = std::string(1, static_cast<char>('a' + i)),
                   .ne = {sizes[i] / 4},
                   .bytes = static_cast<uint64_t>(sizes[i])});
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    index_ = *index;
    homes_.assign(sizes.size(), {});
  }
  void pin(const std::string& names) {
    for (const char name : names) {
      homes_[index_.find(std::string(1, name))->value].home = Home::pinned;
    }
  }
  // "ab c": runs of tensor names. Also checks each run's range.
  std::string runs() const {
    std::string text;
    for (const PinnedRun& run : pinned_runs(index_, homes_)) {
      if (!text.empty()) text += ' ';
      const TensorInfo& last = index_.tensor(run.tensors.back());
      EXPECT_EQ(run.offset, index_.tensor(run.tensors.front()).offset);
      EXPECT_EQ(run.offset + run.bytes, last.offset + last.bytes);
      for (const TensorId id : run.tensors) {
        text += index_.tensor(id).name;
        EXPECT_EQ(run.shard, index_.tensor(id).shard);
      }
    }
    return text;
  }

  TestDirectory directory_;
  ModelIndex index_;
  std::vector<TensorHome> homes_;
};

TEST_F(PinnedRunsTest, NothingPinnedIsNoRun) {
  build({32, 64});
  EXPECT_EQ(runs(), "");
}

TEST_F(PinnedRunsTest, NeighboursAreOneRun) {
  build({32, 8192, 64});
  pin("abc");
  EXPECT_EQ(runs(), "abc");
}

TEST_F(PinnedRunsTest, ReadsAlongGapsSmallerThanABlock) {
  build({32, 4096 - 32, 32, 4096, 32});
  pin("ace");
  EXPECT_EQ(runs(), "ac e");
}

TEST_F(PinnedRunsTest, OtherHomesAreNotPinned) {
  build({32, 32, 32});
  homes_[1].home = Home::stream;
  homes_[2].home = Home::experts;
  pin("a");
  EXPECT_EQ(runs(), "a");
}

TEST_F(PinnedRunsTest, ShardsAreApart) {
  for (uint16_t number = 0; number < 2; ++number) {
    GgufBytes file;
    if (number == 0) file.text("general.architecture", "tiny").number("split.tensors.count", 2);
    file.key("split.no", 2, GgufBytes::raw(number));
    file.key("split.count", 2, GgufBytes::raw<uint16_t>(2));
    file.tensor({.name = number == 0 ? "a" : "b", .ne = {8}, .bytes = 32});
    directory_.write("m-0000" + std::to_string(number + 1) + "-of-00002.gguf", file.build());
  }
  const Result<ModelIndex> index = ModelIndex::open(directory_.path("m-00001-of-00002.gguf"));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  index_ = *index;
  homes_.assign(2, {.home = Home::pinned});
  EXPECT_EQ(runs(), "a b");
}

TEST(WidenedBytes, HoldsTheBlocksOfAnyOffset) {
  for (uint64_t bytes = 1; bytes < 3 * kBlockBytes; bytes += 37) {
    uint64_t most = 0;
    for (uint64_t offset = 0; offset < kBlockBytes; ++offset) {
      const uint64_t end = (offset + bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
      most = std::max(most, end);
    }
    EXPECT_EQ(widened_bytes(bytes), most) << bytes;
  }
}

}  // namespace
}  // namespace hypura
