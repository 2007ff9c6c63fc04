#include "machine/scratch_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>

#include "base/units.h"
#include "io/test_support.h"

namespace hypura {
namespace {

class ScratchFileTest : public testing::Test {
 protected:
  ScratchFileTest() {
    std::string path = "./hypura_scratch_test.XXXXXX";
    folder_ = ::mkdtemp(path.data());
  }
  ~ScratchFileTest() override { std::filesystem::remove_all(folder_); }
  Result<ScratchFile> create(ScratchFile::Options options) {
    if (options.folder.empty()) options.folder = folder_;
    return ScratchFile::create(options, {buffer_.data(), buffer_.size()});
  }
  std::string folder_;
  AlignedBuffer buffer_{4 * kMiB};
};

TEST_F(ScratchFileTest, HoldsRandomBytesAndIsReadThroughADevice) {
  Result<ScratchFile> file = create({.bytes = 20 * kMiB});
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  EXPECT_EQ(file->bytes(), 20 * kMiB);
  const std::unique_ptr<BlockDevice> device = make_block_device({});
  const Result<FileId> id = device->open(file->path());
  ASSERT_TRUE(id.ok()) << id.status().to_string();
  EXPECT_EQ(device->file_bytes(*id), 20 * kMiB);
  const ReadRequest request{.file = *id, .offset = 16 * kMiB, .bytes = 4 * kMiB,
                            .min_bytes = 4 * kMiB, .buffer = buffer_.data()};
  device->submit({&request, 1});
  ReadResult result;
  ASSERT_EQ(device->reap({&result, 1}, true), 1u);
  ASSERT_TRUE(result.status.ok()) << result.status.to_string();
  std::set<uint64_t> words;
  for (uint64_t at = 0; at < buffer_.size(); at += 4096) {
    uint64_t word = 0;
    std::memcpy(&word, buffer_.data() + at, sizeof word);
    words.insert(word);
  }
  EXPECT_EQ(words.size(), 1024u) << "no two blocks begin alike";
}

TEST_F(ScratchFileTest, LeavesNothing) {
  {
    const Result<ScratchFile> file = create({.bytes = 16 * kMiB});
    ASSERT_TRUE(file.ok());
#ifdef __linux__
    EXPECT_TRUE(std::filesystem::is_empty(folder_)) << "not even while it lives";
#endif
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ScratchFileTest, StopsWhenAskedAndLeavesNothing) {
  const std::atomic<bool> stop = true;
  const Result<ScratchFile> file = create({.stop = &stop});
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), StatusCode::interrupted);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ScratchFileTest, ASlowDriveGetsASmallerFile) {
  const Result<ScratchFile> file = create({.seconds_max = 0});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->bytes(), 16 * kMiB);
}

TEST_F(ScratchFileTest, AFolderThatIsNoneIsSaid) {
  const Result<ScratchFile> file = create({.folder = folder_ + "/none"});
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().why(), "No such file or directory");
  EXPECT_NE(file.status().message().find(folder_ + "/none"), std::string::npos);
}

}  // namespace
}  // namespace hypura
