#include "plan/gpu_split.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

constexpr uint32_t kLayers = 12;
constexpr uint64_t kMatrix = 256 * 256 * 2;
constexpr uint64_t kKv = 4096;  // of a layer
constexpr uint64_t kCore = 2 * kMatrix + kKv;
constexpr uint64_t kWhole = kCore + 8 * kMatrix;

// Layers of two matrices of attention and eight of FFN, an output of one.
class GpuSplitTest : public testing::Test {
 protected:
  GpuSplitTest() { build(false); }
  // `drafting`: embeddings are the output, and behind the others is a layer that only drafts, with
  // an output of its own, which llama.cpp leaves out.
  void build(bool drafting) {
    GgufBytes file;
    file.text("general.architecture", "tiny");
    file.number("tiny.block_count", kLayers + (drafting ? 1 : 0));
    add(file, "token_embd.weight", 3);
    if (!drafting) add(file, "output.weight", 1);
    const std::string draft = "blk." + std::to_string(kLayers) + ".";
    for (const char* name : {"nextn.eh_proj.weight", "nextn.shared_head_head.weight",
                             "attn_q.weight", "ffn_up.weight"}) {
      if (drafting) add(file, draft + name, 4);
    }
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      add(file, block + "attn_q.weight", 2);
      add(file, block + "ffn_up.weight", 4);
      add(file, block + "ffn_down.weight", 4);
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
  }
  // As choose_split_share() gives it, and checked.
  GpuShare share_of(const std::vector<uint64_t>& each) const {
    const GpuShareInput input{.bytes = sum(each), .each = each, .kv_bytes = kLayers * kKv};
    GpuShare share = choose_split_share(index_, input);
    if (share.layers == 0) return share;
    GpuPart all;
    EXPECT_EQ(share.parts.size(), each.size());
    for (size_t i = 0; i < share.parts.size(); ++i) {
      EXPECT_LE(share.parts[i].bytes(), each[i]) << i;
      all += share.parts[i];
    }
    EXPECT_EQ(all.counted, static_cast<uint32_t>(gpu_layers(index_, share).count()));
    EXPECT_EQ(all.layers, share.layers);
    EXPECT_TRUE(all.output);
    EXPECT_EQ(all.weight_bytes, share.weight_bytes + share.copy_bytes);
    EXPECT_EQ(all.kv_bytes, share.kv_bytes);
    return share;
  }

  TestDirectory directory_;
  ModelIndex index_;

 private:
  static void add(GgufBytes& file, const std::string& name, uint32_t width) {
    file.tensor({.name = name,
                 .ne = {256, 256 * width},
                 .type = GgufBytes::kF16,
                 .bytes = kMatrix * width});
  }
};

TEST_F(GpuSplitTest, OneIsNotSplit) {
  const GpuShare share =
      choose_split_share(index_, {.bytes = 5 * kWhole, .each = {5 * kWhole}, .kv_bytes = kKv});
  EXPECT_GT(share.layers, 0u);
  EXPECT_TRUE(share.parts.empty());
}

TEST_F(GpuSplitTest, LayersWithTheirFfnAreOnBoth) {
  // By layers alone the second one would have all six FFNs.
  const GpuShare share = share_of({4 * kWhole, 4 * kWhole});
  EXPECT_EQ(share.layers, kLayers);
  EXPECT_GT(share.parts[0].layers, share.parts[1].layers);
  for (const GpuPart& part : share.parts) EXPECT_GE(part.bytes(), 3 * kWhole);
}

TEST_F(GpuSplitTest, EachHasTheSameShareOfWhatItCould) {
  for (const std::vector<uint64_t>& each :
       {std::vector{16 * kWhole, 16 * kWhole}, {30 * kWhole, 10 * kWhole},
        {8 * kWhole, 24 * kWhole, 8 * kWhole}}) {
    const GpuShare share = share_of(each);
    EXPECT_EQ(share.weight_bytes, index_.info().weight_bytes - 3 * kMatrix) << "all of it";
    for (size_t i = 0; i < each.size(); ++i) {
      const double filling =
          static_cast<double>(share.parts[i].bytes()) / static_cast<double>(each[i]);
      EXPECT_NEAR(filling, 12.0 * kWhole / static_cast<double>(sum(each)), 0.1) << i;
    }
  }
}

TEST_F(GpuSplitTest, EmbeddingsAreCopiedAndDraftingLayersAreNot) {
  build(true);
  for (uint64_t bytes = 0; bytes < 8 * kWhole; bytes += kWhole / 7) share_of({bytes, bytes});
  const GpuShare share = share_of({8 * kWhole, 8 * kWhole});
  EXPECT_EQ(share.layers, kLayers);
  EXPECT_EQ(share.copy_bytes, 3 * kMatrix);
  EXPECT_EQ(share.parts[0].counted, share.parts[0].layers);
  EXPECT_EQ(share.parts[1].counted, share.parts[1].layers + 2) << "the drafting one and the output";
}

TEST_F(GpuSplitTest, OneWithoutRoomForALayerHasNone) {
  const GpuShare share = share_of({6 * kWhole, kCore, 6 * kWhole});
  EXPECT_GT(share.parts[0].layers, 0u);
  EXPECT_GT(share.parts[2].layers, 0u);
  EXPECT_EQ(share_of({6 * kWhole, 0}).parts[1].layers, 0u);
  EXPECT_EQ(share_of({0, 6 * kWhole}).parts[0].bytes(), 0u);
}

TEST_F(GpuSplitTest, NeverMoreThanEachHas) {
  uint64_t before = 0;
  for (uint64_t bytes = 0; bytes < 8 * kWhole; bytes += kWhole / 7) {
    for (const uint64_t other : {bytes / 3, bytes, 2 * bytes}) share_of({bytes, other});
    const GpuShare share = share_of({bytes, bytes, bytes});
    EXPECT_GE(share.weight_bytes + kWhole, before) << "more room, and a layer less at most";
    before = std::max(before, share.weight_bytes);
  }
  EXPECT_EQ(share_of({0, 0}).layers, 0u);
}

}  // namespace
}  // namespace hypura
