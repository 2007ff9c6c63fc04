#include "model/header_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <random>
#include <string>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

class HeaderFile : public testing::Test {
 protected:
  HeaderFile() {
    GgufBytes file;
    file.text("general.architecture", "tiny").text("general.name", "a model");
    file.tensor(
        {.name = "output.weight", .ne = {64, 512}, .type = GgufBytes::kF16, .bytes = 64 * 512 * 2});
    path_ = directory_.write("model.gguf", file.build());
    const Result<ModelIndex> index = ModelIndex::open(path_);
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    header_ = *header_of(index_);
  }

  TestDirectory directory_;
  std::string path_;
  ModelIndex index_;
  ModelHeader header_;
};

TEST_F(HeaderFile, ComesBackAndOpensAsTheModelWithoutItsBytes) {
  const std::string saved = directory_.write("m.header", to_bytes(header_));
  EXPECT_LT(std::filesystem::file_size(saved), std::filesystem::file_size(path_) / 10);
  ASSERT_TRUE(is_header_file(saved));
  EXPECT_FALSE(is_header_file(path_));
  const Result<ModelHeader> back = read_header_file(saved);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  std::string hollow_path;
  {
    const Result<HollowModel> hollow = HollowModel::create(*back);
    ASSERT_TRUE(hollow.ok()) << hollow.status().to_string();
    hollow_path = hollow->path();
    EXPECT_EQ(std::filesystem::path(hollow_path).filename(), "model.gguf");
    const Result<ModelIndex> index = ModelIndex::open(hollow_path);
    ASSERT_TRUE(index.ok()) << index.status().to_string();
    EXPECT_EQ(index->info().name, "a model");
    EXPECT_EQ(index->shards()[0].bytes, index_.shards()[0].bytes);
    EXPECT_EQ(index->tensors()[0].offset, index_.tensors()[0].offset);
    struct stat info = {};
    ASSERT_EQ(stat(hollow_path.c_str(), &info), 0);
    EXPECT_LT(info.st_blocks * 512, 16384) << "the weights are holes";
  }
  EXPECT_FALSE(std::filesystem::exists(hollow_path)) << "removed with its owner";
}

TEST_F(HeaderFile, IsNoModel) {
  const Status status = ModelIndex::open(directory_.write("m.gguf", to_bytes(header_))).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("has no weights"), std::string::npos);
}

TEST_F(HeaderFile, CutAnywhereIsRefused) {
  const std::string bytes = to_bytes(header_);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_header(std::string_view(bytes).substr(0, size), "h").ok()) << size;
  }
  EXPECT_FALSE(parse_header(bytes + "x", "h").ok());
}

TEST_F(HeaderFile, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"", ".", "..", "../m.gguf", "/etc/passwd", "a/b"}) {
    ModelHeader header = header_;
    header.shards[0].name = name;
    EXPECT_FALSE(parse_header(to_bytes(header), "h").ok()) << name;
  }
  ModelHeader twice = header_;
  twice.shards.push_back(twice.shards[0]);
  EXPECT_FALSE(parse_header(to_bytes(twice), "h").ok());
}

TEST_F(HeaderFile, SizesThatMakeNoSenseAreRefused) {
  for (const uint64_t bytes :
       {uint64_t{0}, header_.shards[0].bytes.size() - 1, uint64_t{1} << 60, UINT64_MAX}) {
    ModelHeader header = header_;
    header.shards[0].file_bytes = bytes;
    EXPECT_FALSE(parse_header(to_bytes(header), "h").ok()) << bytes;
  }
}

TEST_F(HeaderFile, ChangedBytesNeverTakeMoreThanThereAre) {
  std::mt19937 random(7);
  const std::string good = to_bytes(header_);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k) bytes[random() % 60] = static_cast<char>(random());
    const Result<ModelHeader> header = parse_header(bytes, "h");
    if (!header.ok()) continue;
    size_t total = 0;
    for (const ModelHeader::ShardHeader& shard : header->shards) total += shard.bytes.size();
    EXPECT_LE(total, bytes.size());
  }
}

}  // namespace
}  // namespace hypura
