// Files that must be refused, each with a code and a message that helps.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/gguf_bounds.h"
#include "model/gguf_bytes_for_test.h"
#include "model/model_index.h"

namespace hypura {
namespace {

class Hostile : public testing::Test {
 protected:
  Status open(const std::string& bytes) {
    return ModelIndex::open(directory_.write("model.gguf", bytes)).status();
  }

  void expect_invalid(const std::string& bytes, const std::string& fragment) {
    const Status status = open(bytes);
    EXPECT_EQ(status.code(), StatusCode::invalid_model) << status.to_string();
    EXPECT_NE(status.to_string().find(fragment), std::string::npos) << status.to_string();
    EXPECT_NE(status.message().find("model.gguf"), std::string::npos) << status.message();
  }

  static void expect_failed(const std::string& path, const std::string& fragment) {
    const Status status = ModelIndex::open(path).status();
    EXPECT_EQ(status.code(), StatusCode::failed) << status.to_string();
    EXPECT_NE(status.to_string().find(fragment), std::string::npos) << status.to_string();
  }

  TestDirectory directory_;
};

// One F32 tensor with this shape, and no data behind it.
std::string with_shape(std::vector<int64_t> ne, uint32_t type = GgufBytes::kF32) {
  GgufBytes file;
  file.tensor({.name = "t", .ne = std::move(ne), .type = type});
  return file.build() + std::string(64, '\0');
}

TEST_F(Hostile, MissingFile) {
  expect_failed(directory_.path("absent.gguf"), "No such file or directory");
}

TEST_F(Hostile, UnreadableFile) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const std::string path = directory_.write("secret.gguf", tiny_moe().build());
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  expect_failed(path, "Permission denied");
}

TEST_F(Hostile, Directory) { expect_failed(directory_.path("."), "is a directory"); }

TEST_F(Hostile, FifoDoesNotBlock) {
  const std::string path = directory_.path("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  expect_failed(path, "not a regular file");
}

TEST_F(Hostile, Device) { expect_failed("/dev/zero", "not a regular file"); }

TEST_F(Hostile, EmptyFile) { expect_invalid("", "the file is empty"); }

TEST_F(Hostile, NotGguf) {
  expect_invalid(std::string("PK\x03\x04 and so on"), "it starts with 50 4b 03 04 \"PK..\"");
  expect_invalid("GG", "it starts with 47 47 \"GG\"");
}

TEST_F(Hostile, OtherVersions) {
  GgufBytes file = tiny_moe();
  file.version = 1;
  expect_invalid(file.build(), "GGUF version 1 is not supported");
  file.version = 0x03000000;
  expect_invalid(file.build(), "big-endian");
}

TEST_F(Hostile, HeaderCutAnywhere) {
  const GgufBytes file = tiny_moe();
  for (size_t size = 5; size < file.header().size(); ++size) {
    expect_invalid(file.header().substr(0, size), "the file has " + std::to_string(size));
  }
}

TEST_F(Hostile, DataCutAnywhere) {
  const std::string bytes = tiny_moe().build();
  expect_invalid(bytes.substr(0, bytes.size() - 1),
                 "tensor 'output_norm.weight' ends at byte " + std::to_string(bytes.size()) +
                     ", the file has " + std::to_string(bytes.size() - 1));
}

TEST_F(Hostile, NoTensors) {
  GgufBytes file;
  expect_invalid(file.text("general.architecture", "tiny").build(), "vocabulary-only");
}

TEST_F(Hostile, AbsurdCounts) {
  GgufBytes file = tiny_moe();
  file.tensor_count = UINT64_MAX;
  expect_invalid(file.build(), "claims 18446744073709551615 tensors, the most is 8192");
  file = tiny_moe();
  file.key_count = uint64_t{1} << 40;
  expect_invalid(file.build(), "claims 1099511627776 metadata keys");
  file = tiny_moe();
  file.tensor_count = kTensorsPerFileMax;
  expect_invalid(file.build(), "the file has");
}

TEST_F(Hostile, LengthsPastTheEnd) {
  GgufBytes file;
  file.key("k", 8, GgufBytes::raw<uint64_t>(UINT64_MAX));
  expect_invalid(file.build(), "claims 18446744073709551615 bytes");
  for (const uint32_t element : {0u, 5u, 8u, 10u}) {
    file = GgufBytes();
    file.key("k", 9, GgufBytes::raw(element) + GgufBytes::raw<uint64_t>(uint64_t{1} << 61));
    expect_invalid(file.build(), "metadata claims");
  }
}

TEST_F(Hostile, UnknownValueTypes) {
  GgufBytes file;
  expect_invalid(file.key("k", 13, "").build(), "unknown type 13");
  file = GgufBytes();
  file.key("k", 9, GgufBytes::raw<uint32_t>(9) + GgufBytes::raw<uint64_t>(1));
  expect_invalid(file.build(), "elements of the unknown type 9");
}

// A sparse file may claim gigabytes of metadata without holding them.
TEST_F(Hostile, MetadataPastTheMaximum) {
  GgufBytes file;
  file.key("k", 8, GgufBytes::raw<uint64_t>(uint64_t{1} << 32));
  const std::string path = directory_.write("model.gguf", file.build());
  ASSERT_EQ(truncate(path.c_str(), off_t{1} << 33), 0);
  const Status status = ModelIndex::open(path).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("metadata is larger than 128.0 MiB"), std::string::npos)
      << status.message();
}

TEST_F(Hostile, DuplicateKey) {
  GgufBytes file = tiny_moe();
  expect_invalid(file.number("tiny.block_count", 2).build(), "duplicate key 'tiny.block_count'");
}

TEST_F(Hostile, DuplicateTensor) {
  GgufBytes file = tiny_moe();
  file.tensor({.name = "output_norm.weight", .ne = {32}, .bytes = 128});
  expect_invalid(file.build(), "duplicate tensor name 'output_norm.weight'");
}

TEST_F(Hostile, NamelessTensor) {
  GgufBytes file;
  expect_invalid(file.tensor({.name = "", .ne = {8}, .bytes = 32}).build(), "tensor 0 has no name");
}

TEST_F(Hostile, TerminalEscapesAreNotRepeated) {
  GgufBytes file;
  file.tensor({.name = "\x1b[2J", .ne = {0}});
  expect_invalid(file.build(), "tensor '?[2J' has the shape 0 x 1 x 1 x 1, which is empty");
}

TEST_F(Hostile, BadAlignment) {
  for (const uint32_t alignment : {0u, 3u}) {
    GgufBytes file = tiny_moe();
    expect_invalid(file.number("general.alignment", alignment).build(), "not a power of 2");
  }
  GgufBytes file;
  file.number("general.alignment", 4).tensor({.name = "t", .ne = {8}, .bytes = 32});
  expect_invalid(file.build(), "general.alignment is 4, not a multiple of 8");
}

TEST_F(Hostile, BadShapes) {
  expect_invalid(with_shape({0, 4}), "which is empty");
  expect_invalid(with_shape({-1}), "-1");
  expect_invalid(with_shape({2, 2, 2, 2, 2}), "5 dimensions, the most is 4");
  expect_invalid(with_shape({33}, GgufBytes::kQ8_0), "not a multiple of block size");
  expect_invalid(with_shape({INT64_MAX, INT64_MAX}), "t");
}

// The product of the dimensions wraps to 0, and with it the parser's own test of the size.
TEST_F(Hostile, ShapeThatWraps) {
  expect_invalid(with_shape({int64_t{1} << 32, int64_t{1} << 32}), "cannot have the shape");
  expect_invalid(with_shape({int64_t{1} << 62, 4, 1, 4}), "cannot have the shape");
  expect_invalid(with_shape({int64_t{1} << 62}), "has a size in bytes >");
}

TEST_F(Hostile, UnknownTensorTypes) {
  for (const uint32_t type : {4u, 31u, 43u, 0xffffffffu}) {
    expect_invalid(with_shape({32}, type), "'t'");
  }
}

TEST_F(Hostile, OverlappingTensors) {
  GgufBytes file;
  file.tensor({.name = "a", .ne = {16}, .bytes = 64});
  file.tensor({.name = "b", .ne = {16}, .bytes = 64, .offset = 32});
  expect_invalid(file.build(), "tensor 'b' has offset 32, expected 64");
}

TEST_F(Hostile, OffsetsThatWrap) {
  GgufBytes file;
  file.tensor({.name = "a", .ne = {16}, .bytes = 64, .offset = UINT64_MAX - 31});
  expect_invalid(file.build(), "offset 18446744073709551584");
}

TEST_F(Hostile, MoreExpertsUsedThanThere) {
  GgufBytes file;
  file.text("general.architecture", "a").number("a.expert_count", 4);
  file.number("a.expert_used_count", 5).tensor({.name = "t", .ne = {8}, .bytes = 32});
  expect_invalid(file.build(), "5 experts are used per token, but there are only 4");
}

TEST_F(Hostile, TooManyExperts) {
  GgufBytes file;
  file.text("general.architecture", "a").number("a.expert_count", 65537);
  expect_invalid(file.tensor({.name = "t", .ne = {8}, .bytes = 32}).build(),
                 "expert_count is 65537, the most is 65536");
}

TEST_F(Hostile, ExpertTensorsOfAnotherCount) {
  for (const std::vector<int64_t>& ne : {std::vector<int64_t>{8, 2, 3}, {8, 2}, {8, 1, 4, 2}}) {
    GgufBytes file = tiny_moe();
    file.tensor({.name = "blk.1.ffn_down_exps.weight", .ne = ne, .bytes = 256});
    expect_invalid(file.build(), "experts, the model has 4");
  }
}

TEST_F(Hostile, ExpertTensorsWithoutACount) {
  GgufBytes file;
  file.text("general.architecture", "a").key("a.expert_count", 5, GgufBytes::raw<int32_t>(-4));
  file.tensor({.name = "blk.0.ffn_up_exps.weight", .ne = {8, 1, 4}, .bytes = 128});
  expect_invalid(file.build(), "has 4 x 1 experts, the model has 0");
}

}  // namespace
}  // namespace hypura
