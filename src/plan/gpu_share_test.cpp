#include "plan/gpu_share.h"

#include <gtest/gtest.h>
#include <regex.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

constexpr uint32_t kLayers = 12;
constexpr uint64_t kMatrixBytes = 256 * 256 * 2;
constexpr uint64_t kKvBytes = kLayers * 4096;

// Twelve layers with two matrices of attention and two of FFN each, embeddings and output.
class GpuShareTest : public testing::Test {
 protected:
  // `drafting`: one layer more, that llama.cpp leaves out, in the file or only counted.
  enum class Drafting { no, in_file, counted };
  // `wide`: a layer with twice as large an FFN.
  void build(bool output, Drafting drafting = Drafting::no, uint32_t wide = kLayers) {
    GgufBytes file;
    file.text("general.architecture", "tiny");
    file.number("tiny.block_count", kLayers + (drafting == Drafting::no ? 0 : 1));
    add(file, "token_embd.weight");
    if (output) add(file, "output.weight");
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      for (const char* name : {"attn_q", "attn_output", "ffn_up", "ffn_down"}) {
        const bool ffn = name[0] == 'f';
        add(file, "blk." + std::to_string(layer) + "." + name + ".weight",
            ffn && layer == wide ? 2 : name == std::string("ffn_down") ? down_ : 1);
      }
    }
    if (drafting == Drafting::in_file) {
      for (const char* name : {"nextn.eh_proj", "attn_q", "ffn_up", "ffn_down"}) {
        add(file, "blk." + std::to_string(kLayers) + "." + name + ".weight");
      }
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    index_ = *index;
  }

  GpuShare share_of(uint64_t bytes) const {
    return choose_gpu_share(index_, {.bytes = bytes, .kv_bytes = kKvBytes});
  }
  bool on_gpu(const GpuShare& share, const char* name) const {
    return share.on_gpu[index_.find(name)->value];
  }
  // Names that the expression of what stays below names.
  std::vector<std::string> named(const GpuShare& share) const {
    const std::string pattern = names_below(index_, share);
    std::vector<std::string> names;
    if (pattern.empty()) return names;
    // std::regex, which llama.cpp takes it with, warns in sanitized builds.
    regex_t expression;
    EXPECT_EQ(::regcomp(&expression, pattern.c_str(), REG_EXTENDED | REG_NOSUB), 0) << pattern;
    for (const TensorInfo& tensor : index_.tensors()) {
      if (::regexec(&expression, tensor.name.c_str(), 0, nullptr, 0) == 0) {
        names.push_back(tensor.name);
      }
    }
    ::regfree(&expression);
    return names;
  }

  TestDirectory directory_;
  ModelIndex index_;
  uint32_t down_ = 1;  // times as large as others: an FFN's last matrix

 private:
  static void add(GgufBytes& file, const std::string& name, uint32_t width = 1) {
    file.tensor({.name = name,
                 .ne = {256, 256 * width},
                 .type = GgufBytes::kF16,
                 .bytes = kMatrixBytes * width});
  }
};

constexpr uint64_t kCoreBytes = kMatrixBytes * (1 + 2 * kLayers) + kKvBytes;

TEST_F(GpuShareTest, NothingWhereNoLayerFits) {
  build(true);
  EXPECT_TRUE(share_of(0).on_gpu.empty());
  EXPECT_TRUE(share_of(3 * kMatrixBytes).on_gpu.empty()) << "no room for a layer's KV";
}

TEST_F(GpuShareTest, LayersWithoutTheirFfnFromTheLastOn) {
  build(true);
  const GpuShare share = share_of(3 * kMatrixBytes + 4096);
  EXPECT_EQ(share.layers, 1u);
  EXPECT_EQ(share.weight_bytes, 3 * kMatrixBytes);
  EXPECT_EQ(share.kv_bytes, 4096u);
  EXPECT_TRUE(on_gpu(share, "output.weight"));
  EXPECT_TRUE(on_gpu(share, "blk.11.attn_q.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.11.ffn_up.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.10.attn_q.weight"));
  EXPECT_FALSE(on_gpu(share, "token_embd.weight"));
  const std::vector<std::string> names = named(share);
  EXPECT_EQ(std::count(names.begin(), names.end(), "blk.11.ffn_up.weight"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "blk.11.attn_q.weight"), 0);
}

TEST_F(GpuShareTest, FfnsWhereAllLayersAreThere) {
  build(true);
  const GpuShare share = share_of(kCoreBytes + 5 * kMatrixBytes);
  EXPECT_EQ(share.layers, kLayers);
  EXPECT_EQ(share.weight_bytes, kMatrixBytes * (1 + 2 * kLayers + 5));
  EXPECT_TRUE(on_gpu(share, "blk.10.ffn_down.weight")) << "the last ones";
  EXPECT_FALSE(on_gpu(share, "blk.9.ffn_up.weight"));
  EXPECT_TRUE(on_gpu(share, "blk.9.ffn_down.weight")) << "room for half of an FFN";
  EXPECT_FALSE(on_gpu(share, "blk.8.ffn_down.weight"));
  const std::vector<std::string> names = named(share);
  EXPECT_EQ(names.size(), 2u * (kLayers - 2) - 1);
  for (const std::string& name : names) EXPECT_FALSE(on_gpu(share, name.c_str())) << name;
}

TEST_F(GpuShareTest, WhatIsThereAsAWholeHasNoGaps) {
  build(true, Drafting::no, 10);
  const uint64_t wide = 4 * kMatrixBytes;  // of layer 10
  const GpuShare share = share_of(kCoreBytes + 2 * kMatrixBytes + wide - 1);
  EXPECT_TRUE(on_gpu(share, "blk.11.ffn_up.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.10.ffn_up.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.9.ffn_up.weight")) << "it would fit";
  EXPECT_TRUE(on_gpu(share, "blk.10.ffn_down.weight")) << "the last matrix alone";
}

TEST_F(GpuShareTest, OneLessIsWholeWhereTheDriveIsWaitedForAndMatricesFillMore) {
  down_ = 2;
  build(true);
  GpuShareInput input{.bytes = kCoreBytes + 4 * kMatrixBytes, .kv_bytes = kKvBytes};
  GpuShare share = choose_gpu_share(index_, input);
  EXPECT_TRUE(on_gpu(share, "blk.11.ffn_up.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.10.ffn_down.weight")) << "no room for two";
  const uint64_t below = (3 * kLayers - 3) * kMatrixBytes;
  input.ram_bytes = below;
  EXPECT_EQ(choose_gpu_share(index_, input).on_gpu, share.on_gpu) << "RAM holds what is below";

  input.ram_bytes = below - 1;
  share = choose_gpu_share(index_, input);
  EXPECT_FALSE(on_gpu(share, "blk.11.ffn_up.weight"));
  EXPECT_TRUE(on_gpu(share, "blk.11.ffn_down.weight"));
  EXPECT_TRUE(on_gpu(share, "blk.10.ffn_down.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.9.ffn_down.weight"));

  input.bytes += kMatrixBytes;
  EXPECT_TRUE(on_gpu(choose_gpu_share(index_, input), "blk.11.ffn_up.weight")) << "all is full";
}

TEST_F(GpuShareTest, AllOfItWhereThereIsRoom) {
  build(true);
  const GpuShare share = share_of(kCoreBytes + 2 * kLayers * kMatrixBytes);
  EXPECT_EQ(share.weight_bytes, index_.info().weight_bytes - kMatrixBytes) << "but the embeddings";
  EXPECT_EQ(names_below(index_, share), "");
}

TEST_F(GpuShareTest, LayersThatAreLeftOutTakeNoRoomThere) {
  build(true);
  const uint64_t bytes = kCoreBytes + 5 * kMatrixBytes;
  const GpuShare plain = share_of(bytes);
  EXPECT_EQ(gpu_layers(index_, plain).count(), static_cast<int>(kLayers) + 1);
  EXPECT_EQ(gpu_layers(index_, share_of(kCoreBytes / 2)).count(),
            static_cast<int>(share_of(kCoreBytes / 2).layers) + 1);
  for (const Drafting drafting : {Drafting::in_file, Drafting::counted}) {
    build(true, drafting);
    const GpuShare share = share_of(bytes);
    EXPECT_EQ(share.layers, kLayers);
    EXPECT_EQ(share.weight_bytes, plain.weight_bytes);
    EXPECT_EQ(share.kv_bytes, plain.kv_bytes);
    EXPECT_EQ(gpu_layers(index_, share).count(), static_cast<int>(kLayers) + 2)
        << "counted by llama.cpp";
    EXPECT_TRUE(on_gpu(share, "blk.11.ffn_down.weight"));
    if (drafting == Drafting::in_file) {
      EXPECT_FALSE(on_gpu(share, "blk.12.attn_q.weight"));
    }
  }
}

TEST_F(GpuShareTest, EmbeddingsThatAreTheOutputTakeRoomThere) {
  build(false);
  EXPECT_EQ(share_of(kCoreBytes - 1).layers, kLayers - 1);
  EXPECT_EQ(share_of(kCoreBytes).layers, kLayers);
}

TEST_F(GpuShareTest, NeverMoreThanItHas) {
  build(true);
  for (uint64_t bytes = 0; bytes < index_.info().weight_bytes + kKvBytes; bytes += 10007) {
    const GpuShare share = share_of(bytes);
    EXPECT_LE(share.weight_bytes + share.kv_bytes, bytes);
  }
}

constexpr uint32_t kExperts = 8;
constexpr uint32_t kUsed = 2;
constexpr uint64_t kSlack = 4096;  // behind each tensor

// Two layers with attention and two tensors of experts each, the first one with a dense FFN in
// front of them.
class ExpertCacheTest : public testing::Test {
 protected:
  // `chunked`: the last layer has a tensor with fewer experts, as some architectures have.
  // `drafting`: one layer more, that llama.cpp leaves out.
  void build(bool chunked = false, bool drafting = false) {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 2);
    file.number("tiny.expert_count", kExperts).number("tiny.expert_used_count", kUsed);
    add(file, "token_embd.weight", {64, 64});
    add(file, "output.weight", {64, 64});
    for (const std::string block : {"blk.0.", "blk.1."}) {
      add(file, block + "attn_q.weight", {64, 64});
      add(file, block + "ffn_up_exps.weight", {64, 64, kExperts});
      const bool half = chunked && block == "blk.1.";
      add(file, block + (half ? "ffn_down_chexps.weight" : "ffn_down_exps.weight"),
          {64, 64, half ? kExperts / 2 : kExperts});
    }
    add(file, "blk.0.ffn_up.weight", {64, 64});
    if (drafting) {
      add(file, "blk.2.nextn.eh_proj.weight", {64, 64});
      add(file, "blk.2.ffn_up_exps.weight", {64, 64, kExperts});
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    index_ = *index;
  }
  GpuShare share_of(uint64_t bytes) const {
    return choose_gpu_share(index_, {.bytes = bytes, .experts_used = kUsed});
  }
  TensorId id(const char* name) const { return *index_.find(name); }

  static constexpr uint64_t kMatrix = 64 * 64 * 2;
  static constexpr uint64_t kDense = 4 * kMatrix;  // output, attention, FFN
  static constexpr uint64_t kTensor = kExperts * kMatrix;
  // Two places, and the cache of as many slots in each of the four tensors.
  static constexpr uint64_t with_slots(uint32_t slots) {
    return kDense + 2 * (kTensor + kSlack) + 4 * (slots * kMatrix + kSlack);
  }

  TestDirectory directory_;
  ModelIndex index_;

 private:
  static void add(GgufBytes& file, const std::string& name, const std::vector<int64_t>& ne) {
    uint64_t bytes = 2;
    for (const int64_t n : ne) bytes *= static_cast<uint64_t>(n);
    file.tensor({.name = name, .ne = ne, .type = GgufBytes::kF16, .bytes = bytes});
  }
};

TEST_F(ExpertCacheTest, DenseWeightsAreThereForGoodAndExpertsHaveSlots) {
  build();
  const GpuShare share = share_of(with_slots(3));
  ASSERT_TRUE(share.experts.has_value());
  EXPECT_EQ(share.weight_bytes, kDense);
  EXPECT_TRUE(share.on_gpu[id("blk.0.ffn_up.weight").value]) << "a dense FFN";
  for (uint32_t i = 0; i < index_.tensors().size(); ++i) {
    const bool expert = index_.tensor(TensorId{i}).role == TensorRole::expert;
    EXPECT_EQ(share.experts->slots[i], expert ? 3u : 0u) << index_.tensor(TensorId{i}).name;
    EXPECT_FALSE(expert && share.on_gpu[i]) << index_.tensor(TensorId{i}).name;
  }
  EXPECT_EQ(share.experts->first(), id("blk.0.ffn_up_exps.weight"));
  EXPECT_GE(share.experts->place_bytes, kTensor) << "a whole tensor";
  EXPECT_EQ(share.experts->places, 2u) << "one is filled while another computes";
}

TEST_F(ExpertCacheTest, LayersThatAreLeftOutHaveNone) {
  build(false, true);
  const GpuShare share = share_of(with_slots(3));
  ASSERT_TRUE(share.experts.has_value());
  EXPECT_EQ(share.weight_bytes, kDense);
  EXPECT_EQ(share.experts->slots[id("blk.1.ffn_up_exps.weight").value], 3u);
  EXPECT_EQ(share.experts->slots[id("blk.2.ffn_up_exps.weight").value], 0u);
  EXPECT_FALSE(unified_gpu_share(index_).on_gpu[id("blk.2.nextn.eh_proj.weight").value]);
}

TEST_F(ExpertCacheTest, SlotsFitTheBytesAndAreEnoughForAToken) {
  build();
  uint32_t most = 0;
  for (uint64_t bytes = 0; bytes < kDense + 4 * kTensor; bytes += 1009) {
    const GpuShare share = share_of(bytes);
    if (!share.experts.has_value()) {
      EXPECT_LT(bytes, with_slots(kUsed) + 16) << "room for a token's experts is used";
      continue;
    }
    EXPECT_LE(share.weight_bytes + share.experts->bytes(), bytes);
    const uint32_t slots = share.experts->slots[share.experts->first().value];
    EXPECT_GE(slots, kUsed);
    EXPECT_LE(slots, kExperts);
    EXPECT_GE(slots, most) << "more bytes, fewer slots";
    EXPECT_LT(bytes, with_slots(slots + 1) + 16) << "one more would fit";
    EXPECT_GE(share.experts->cache_bytes, 4 * slots * kMatrix);
    most = slots;
  }
  EXPECT_EQ(most, 3u) << "what all of them would take, less two places";
}

TEST_F(ExpertCacheTest, NothingWhereNobodyAskedOrAllFit) {
  build();
  EXPECT_FALSE(choose_gpu_share(index_, {.bytes = with_slots(3)}).experts.has_value());
  const GpuShare all = share_of(kDense + 4 * kTensor);
  EXPECT_FALSE(all.experts.has_value());
  EXPECT_TRUE(all.on_gpu[id("blk.1.ffn_up_exps.weight").value]);
}

TEST_F(ExpertCacheTest, NothingWhereALayersTensorsHaveDifferentExperts) {
  build(true);
  for (uint64_t bytes = 0; bytes < kDense + 4 * kTensor; bytes += 1009) {
    EXPECT_FALSE(share_of(bytes).experts.has_value()) << bytes;
  }
}

}  // namespace
}  // namespace hypura
