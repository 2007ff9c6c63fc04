#include "model/model_index.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/gguf_bounds.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

const std::string kStoryteller = HYPURA_REPO_DIR "/models/storyteller-moe-q4_k_m.gguf";

TEST(ModelIndex, DescribesTheEmbeddedModel) {
  const Result<ModelIndex> index = ModelIndex::open(kStoryteller);
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  const ModelInfo& info = index->info();
  EXPECT_EQ(info.architecture, "qwen3moe");
  EXPECT_EQ(info.name, "Storyteller MoE");
  EXPECT_EQ(info.quantization, "Q4_K - Medium");
  EXPECT_FALSE(info.has_chat_template);
  EXPECT_EQ(info.context_length, 1024u);
  EXPECT_EQ(info.layer_count, 6u);
  EXPECT_EQ(info.embedding_length, 512u);
  EXPECT_EQ(info.vocabulary_size, 8192u);
  EXPECT_EQ(info.expert_count, 16u);
  EXPECT_EQ(info.expert_used_count, 4u);
  EXPECT_NEAR(static_cast<double>(info.parameter_count), 46.72e6, 0.01e6);
  ASSERT_EQ(index->shards().size(), 1u);
  EXPECT_EQ(index->shards()[0].bytes, 28981184u);
  EXPECT_EQ(info.metadata_bytes, index->shards()[0].data_offset);
  EXPECT_LE(info.metadata_bytes + info.weight_bytes, index->shards()[0].bytes);
  EXPECT_EQ(index->tensors().size(), 74u);
}

TEST(ModelIndex, FindsExpertsOfTheEmbeddedModel) {
  const Result<ModelIndex> index = ModelIndex::open(kStoryteller);
  ASSERT_TRUE(index.ok());
  const std::optional<TensorId> id = index->find("blk.3.ffn_up_exps.weight");
  ASSERT_TRUE(id.has_value());
  const TensorInfo& up = index->tensor(*id);
  EXPECT_EQ(up.role, TensorRole::expert);
  EXPECT_EQ(up.layer, 3);
  EXPECT_EQ(up.expert_count, 16u);
  EXPECT_EQ(up.expert_bytes(), 72u * 1024);
  EXPECT_STREQ(type_name(up.type), "Q4_K");
  EXPECT_EQ(std::count_if(index->tensors().begin(), index->tensors().end(),
                          [](const TensorInfo& t) { return t.role == TensorRole::expert; }),
            18);
  EXPECT_EQ(index->find("no such tensor"), std::nullopt);
}

TEST(ModelIndex, BytesOfRolesAddUp) {
  const Result<ModelIndex> index = ModelIndex::open(kStoryteller);
  ASSERT_TRUE(index.ok());
  uint64_t sum = 0;
  for (int role = 0; role < kTensorRoleCount; ++role) {
    sum += index->bytes_of(static_cast<TensorRole>(role));
  }
  EXPECT_EQ(sum, index->info().weight_bytes);
  EXPECT_EQ(index->bytes_of(TensorRole::other), 0u);
  EXPECT_EQ(index->bytes_of(TensorRole::dense_ffn), 0u);
}

TEST(ModelIndex, ReadsAHandMadeModel) {
  const TestDirectory directory;
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", tiny_moe().build()));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  EXPECT_EQ(index->info().quantization, "F32") << "no file type: the type with the most bytes";
  EXPECT_EQ(index->info().weight_bytes, 1024u + 136 + 512 + 272 + 128);
  EXPECT_EQ(index->info().parameter_count, 256u + 128 + 128 + 256 + 32);
  const TensorInfo& experts = index->tensor(*index->find("blk.1.ffn_up_exps.weight"));
  EXPECT_EQ(experts.expert_bytes(), 68u);
  EXPECT_EQ(experts.offset, index->shards()[0].data_offset + 1024 + 160 + 512);
}

TEST(ModelIndex, AcceptsTheSeedsOfItsFuzzer) {
  for (const char* name : {"dense", "version2", "moe"}) {
    const std::string path = std::string(HYPURA_REPO_DIR "/fuzz/corpus/model_index/") + name;
    const Result<ModelIndex> index = ModelIndex::open(path + ".gguf");
    EXPECT_TRUE(index.ok()) << index.status().to_string();
  }
}

TEST(ModelIndex, TakesTheLargestOfPerLayerValues) {
  const TestDirectory directory;
  GgufBytes file;
  file.text("general.architecture", "a").number("a.expert_count", 8);
  file.key("a.expert_used_count", 9,
           GgufBytes::raw<uint32_t>(5) + GgufBytes::raw<uint64_t>(3) + GgufBytes::raw<int32_t>(2) +
               GgufBytes::raw<int32_t>(6) + GgufBytes::raw<int32_t>(4));
  file.tensor({.name = "output.weight", .ne = {8}, .bytes = 32});
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", file.build()));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  EXPECT_EQ(index->info().expert_used_count, 6u);
}

TEST(ModelIndex, AcceptsTheMaximaOfAFile) {
  const TestDirectory directory;
  GgufBytes file;
  for (uint64_t i = 0; i < kKeysPerFileMax; ++i) file.number("key" + std::to_string(i), 1);
  for (uint64_t i = 0; i < kTensorsPerFileMax; ++i) {
    file.tensor({.name = "t" + std::to_string(i), .ne = {8}, .bytes = 32});
  }
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", file.build()));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  EXPECT_EQ(index->tensors().size(), kTensorsPerFileMax);
}

TEST(ModelIndex, ChunkedExpertsHaveTheirOwnCount) {
  const TestDirectory directory;
  GgufBytes file = tiny_moe();
  file.tensor({.name = "blk.1.ffn_up_chexps.weight", .ne = {32, 1, 2}, .bytes = 256});
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", file.build()));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  EXPECT_EQ(index->tensor(*index->find("blk.1.ffn_up_chexps.weight")).expert_count, 2u);
}

TEST(ModelIndex, LayersThatOnlyDraftAreLeftOut) {
  const TestDirectory directory;
  GgufBytes file = tiny_moe();
  file.tensor({.name = "blk.7.nextn.eh_proj.weight", .ne = {32}, .bytes = 128});
  file.tensor({.name = "blk.7.attn_q.weight", .ne = {32}, .bytes = 128});
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", file.build()));
  ASSERT_TRUE(index.ok()) << index.status().to_string();
  for (const TensorInfo& tensor : index->tensors()) {
    EXPECT_EQ(tensor.left_out, tensor.layer == 7) << tensor.name;
  }
}

// Shard `number` (from 0) of 3; the first has no tensors, as llama-gguf-split can make it.
std::string shard_bytes(uint16_t number, uint16_t count = 3) {
  GgufBytes file;
  if (number == 0) file.text("general.architecture", "tiny").number("split.tensors.count", 2);
  file.key("split.no", 2, GgufBytes::raw(number)).key("split.count", 2, GgufBytes::raw(count));
  if (number > 0) {
    file.tensor({.name = "t" + std::to_string(number), .ne = {16}, .bytes = 64});
  }
  return file.build();
}

TEST(ModelIndexShards, OpensFromAnyShard) {
  const TestDirectory directory;
  for (uint16_t i = 0; i < 3; ++i) {
    directory.write("m-0000" + std::to_string(i + 1) + "-of-00003.gguf", shard_bytes(i));
  }
  for (const char* name : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const Result<ModelIndex> index = ModelIndex::open(directory.path(name));
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    EXPECT_EQ(index->info().architecture, "tiny");
    ASSERT_EQ(index->shards().size(), 3u);
    EXPECT_EQ(index->shards()[2].path, directory.path("m-00003-of-00003.gguf"));
    EXPECT_EQ(index->tensor(*index->find("t2")).shard, 2u);
    EXPECT_EQ(index->info().metadata_bytes, index->shards()[0].data_offset +
                                                index->shards()[1].data_offset +
                                                index->shards()[2].data_offset);
  }
}

TEST(ModelIndexShards, NamesTheMissingOne) {
  const TestDirectory directory;
  directory.write("m-00001-of-00003.gguf", shard_bytes(0));
  directory.write("m-00003-of-00003.gguf", shard_bytes(2));
  const Status status = ModelIndex::open(directory.path("m-00001-of-00003.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::failed);
  EXPECT_NE(status.message().find("m-00002-of-00003.gguf"), std::string::npos) << status.message();
  EXPECT_EQ(status.why(), "No such file or directory");
  EXPECT_NE(status.hint().find("all 3 shards"), std::string::npos) << status.hint();
}

TEST(ModelIndexShards, RefusesAShardUnderAnothersName) {
  const TestDirectory directory;
  directory.write("m-00001-of-00003.gguf", shard_bytes(0));
  directory.write("m-00002-of-00003.gguf", shard_bytes(2));
  directory.write("m-00003-of-00003.gguf", shard_bytes(1));
  const Status status = ModelIndex::open(directory.path("m-00001-of-00003.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("split.no is 2"), std::string::npos) << status.message();
}

TEST(ModelIndexShards, RefusesAShardOfAnotherSplit) {
  const TestDirectory directory;
  directory.write("m-00001-of-00003.gguf", shard_bytes(0));
  directory.write("m-00002-of-00003.gguf", shard_bytes(1, 4));
  const Status status = ModelIndex::open(directory.path("m-00001-of-00003.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("split.count 4"), std::string::npos) << status.message();
}

TEST(ModelIndexShards, RefusesAShardWithoutItsNumber) {
  const TestDirectory directory;
  directory.write("m-00001-of-00003.gguf", shard_bytes(0));
  directory.write("m-00002-of-00003.gguf", tiny_moe().build());
  const Status status = ModelIndex::open(directory.path("m-00001-of-00003.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("split.no or split.count is missing"), std::string::npos);
}

TEST(ModelIndexShards, RefusesARenamedShard) {
  const TestDirectory directory;
  const Status status = ModelIndex::open(directory.write("model.gguf", shard_bytes(1))).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("one of 3 shards"), std::string::npos) << status.message();
  EXPECT_NE(status.hint().find("NAME-00002-of-00003.gguf"), std::string::npos) << status.hint();
}

TEST(ModelIndexShards, RefusesMoreShardsThanTheMaximum) {
  const TestDirectory directory;
  const std::string bytes = shard_bytes(0, 1025);
  const Status status = ModelIndex::open(directory.write("m-00001-of-01025.gguf", bytes)).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("split.count is 1025, the most is 1024"), std::string::npos);
}

TEST(ModelIndexShards, RefusesMoreTensorsThanTheMaximum) {
  const TestDirectory directory;
  for (uint16_t shard = 0; shard < 5; ++shard) {
    GgufBytes file;
    file.key("split.no", 2, GgufBytes::raw(shard));
    file.key("split.count", 2, GgufBytes::raw<uint16_t>(5));
    for (uint64_t i = 0; i < kTensorsPerFileMax; ++i) {
      file.tensor(
          {.name = std::to_string(shard) + "t" + std::to_string(i), .ne = {8}, .bytes = 32});
    }
    directory.write("m-0000" + std::to_string(shard + 1) + "-of-00005.gguf", file.build());
  }
  const Status status = ModelIndex::open(directory.path("m-00001-of-00005.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("more than 32768 tensors"), std::string::npos);
}

// Two shards, both with the tensor `name`.
std::string twin_bytes(uint16_t number, const std::string& name, uint32_t tensors) {
  GgufBytes file;
  file.number("split.tensors.count", tensors);
  file.key("split.no", 2, GgufBytes::raw(number))
      .key("split.count", 2, GgufBytes::raw<uint16_t>(2));
  return file.tensor({.name = name, .ne = {16}, .bytes = 64}).build();
}

TEST(ModelIndexShards, RefusesANameInTwoShards) {
  const TestDirectory directory;
  directory.write("m-00001-of-00002.gguf", twin_bytes(0, "twin", 2));
  directory.write("m-00002-of-00002.gguf", twin_bytes(1, "twin", 2));
  const Status status = ModelIndex::open(directory.path("m-00001-of-00002.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("'twin' is there twice"), std::string::npos) << status.message();
}

TEST(ModelIndexShards, RefusesAWrongTotalOfTensors) {
  const TestDirectory directory;
  directory.write("m-00001-of-00002.gguf", twin_bytes(0, "a", 5));
  directory.write("m-00002-of-00002.gguf", twin_bytes(1, "b", 5));
  const Status status = ModelIndex::open(directory.path("m-00001-of-00002.gguf")).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("hold 2 tensors, split.tensors.count is 5"), std::string::npos);
}

TEST(TypeName, IsUpperCaseAndTotal) {
  EXPECT_STREQ(type_name(0), "F32");
  EXPECT_STREQ(type_name(12), "Q4_K");
  EXPECT_STREQ(type_name(39), "MXFP4");
  for (const int removed : {-1, 4, 31, 1000}) EXPECT_STREQ(type_name(removed), "unknown");
}

}  // namespace
}  // namespace hypura
