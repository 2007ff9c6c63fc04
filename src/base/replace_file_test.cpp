#include "base/replace_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace hypura {
namespace {

class ReplaceFile : public testing::Test {
 protected:
  ReplaceFile() {
    std::string folder = "./hypura_replace_file_test.XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~ReplaceFile() override { std::filesystem::remove_all(folder_); }

  std::string content(const std::string& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::ptrdiff_t files() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }

  std::string folder_;
};

TEST_F(ReplaceFile, MakesItsFolderAndReplacesAll) {
  const std::string path = folder_ + "/a/b/file";
  EXPECT_FALSE(replace_file(path, "something long"));
  EXPECT_FALSE(replace_file(path, std::string_view("x\0y", 3)));
  EXPECT_EQ(content(path), std::string("x\0y", 3));
}

TEST_F(ReplaceFile, AnErrorLeavesWhatWasAndNothingElse) {
  const std::string path = folder_ + "/file";
  std::filesystem::create_directories(path + "/in it");
  EXPECT_TRUE(replace_file(path, "text")) << "a folder";
  EXPECT_TRUE(std::filesystem::exists(path + "/in it"));
  EXPECT_EQ(files(), 1);
  EXPECT_TRUE(replace_file("/proc/none/file", "text"));
}

}  // namespace
}  // namespace hypura
