#include "plan/gpu_share.h"

#include <gtest/gtest.h>
#include <regex.h>

#include <algorithm>
#include <string>

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
  void build(bool output) {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", kLayers);
    add(file, "token_embd.weight");
    if (output) add(file, "output.weight");
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      for (const char* name : {"attn_q", "attn_output", "ffn_up", "ffn_down"}) {
        add(file, "blk." + std::to_string(layer) + "." + name + ".weight");
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

 private:
  static void add(GgufBytes& file, const std::string& name) {
    file.tensor({.name = name, .ne = {256, 256}, .type = GgufBytes::kF16, .bytes = kMatrixBytes});
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
  EXPECT_EQ(share.weight_bytes, kMatrixBytes * (1 + 2 * kLayers + 4)) << "whole FFNs only";
  EXPECT_TRUE(on_gpu(share, "blk.1.ffn_down.weight"));
  EXPECT_FALSE(on_gpu(share, "blk.2.ffn_up.weight"));
  const std::vector<std::string> names = named(share);
  EXPECT_EQ(names.size(), 2u * (kLayers - 2));
  for (const std::string& name : names) EXPECT_FALSE(on_gpu(share, name.c_str())) << name;
}

TEST_F(GpuShareTest, AllOfItWhereThereIsRoom) {
  build(true);
  const GpuShare share = share_of(kCoreBytes + 2 * kLayers * kMatrixBytes);
  EXPECT_EQ(share.weight_bytes, index_.info().weight_bytes - kMatrixBytes) << "but the embeddings";
  EXPECT_EQ(names_below(index_, share), "");
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

}  // namespace
}  // namespace hypura
