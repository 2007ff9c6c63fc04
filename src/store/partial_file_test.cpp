#include "store/partial_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

class PartialFileTest : public testing::Test {
 protected:
  Result<PartialFile> open(const std::string& url = "http://x/a") {
    return PartialFile::open(path_, url, nullptr);
  }
  static std::string hash_of(std::string_view text) {
    Sha256 hash;
    hash.add(text);
    return hash.hex();
  }

  TestDirectory folder_;
  const std::string path_ = folder_.path("below/a.gguf");
};

TEST_F(PartialFileTest, ALaterProcessGoesOn) {
  {
    Result<PartialFile> file = open();
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    ASSERT_TRUE(file->set_origin({.url = "http://x/a", .version = "\"1\"", .bytes = 6}).ok());
    ASSERT_TRUE(file->append("abc").ok());
  }
  Result<PartialFile> file = open();
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  EXPECT_EQ(file->bytes(), 3u);
  EXPECT_EQ(file->origin().version, "\"1\"");
  EXPECT_EQ(file->origin().bytes, 6u);
  ASSERT_TRUE(file->append("def").ok());
  EXPECT_EQ(file->hex(), hash_of("abcdef"));
  ASSERT_TRUE(file->flush().ok());
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(file->finish().ok());
  EXPECT_EQ(fs::file_size(path_), 6u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path("below")), {}), 1);
}

TEST_F(PartialFileTest, PartsOfSomethingElseAreForgotten) {
  for (const std::string& state :
       {std::string(R"({"url": "http://x/b", "version": "1", "sha256": "", "bytes": 6})"),
        std::string(R"({"url": "http://x/a", "version": "1", "sha256": "", "bytes": 2})"),
        std::string("[]"), std::string(),
        std::string(R"({"url": 7, "version": "1", "sha256": "", "bytes": 6})")}) {
    fs::create_directories(folder_.path("below"));
    folder_.write("below/a.gguf.partial", "abc");
    folder_.write("below/a.gguf.partial.json", state);
    Result<PartialFile> file = open();
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    EXPECT_EQ(file->bytes(), 0u) << state;
    EXPECT_EQ(file->hex(), hash_of(""));
  }
}

TEST_F(PartialFileTest, OnlyOneDownloads) {
  Result<PartialFile> first = open();
  ASSERT_TRUE(first.ok());
  const Result<PartialFile> second = open();
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("already"), std::string::npos);
  first->discard();
  EXPECT_TRUE(open().ok());
}

TEST_F(PartialFileTest, LinksAreNotFollowed) {
  fs::create_directories(folder_.path("below"));
  const std::string secret = folder_.write("secret", "abc");
  fs::create_symlink(secret, path_ + ".partial");
  EXPECT_FALSE(open().ok());
  EXPECT_EQ(fs::file_size(secret), 3u);
}

TEST_F(PartialFileTest, StopsBeforeALongFileIsRead) {
  ASSERT_TRUE(open()->set_origin({.url = "http://x/a", .version = "1", .bytes = 6}).ok());
  folder_.write("below/a.gguf.partial", "abc");
  const std::atomic<bool> stop = true;
  EXPECT_EQ(PartialFile::open(path_, "http://x/a", &stop).status().code(), StatusCode::interrupted);
}

}  // namespace
}  // namespace hypura
