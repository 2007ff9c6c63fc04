#include "engine/coactivation_file.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>


namespace hypura {
namespace {

constexpr std::array<int32_t, 2> kFrom = {0, 1};
constexpr std::array<int32_t, 2> kTo = {2, 3};

class CoactivationFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / "hypura-coactivation-test";
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Coactivation seen() {
    Coactivation table(2, 4);
    table.observe(0, kFrom, kTo);
    return table;
  }

  std::filesystem::path folder_;
  ModelIndex index_;
};

TEST_F(CoactivationFileTest, KeepsCounts) {
  const CoactivationFile file((folder_ / "deep").string(), index_);
  const Coactivation table = seen();
  ASSERT_TRUE(file.write(table).ok());
  Coactivation read(2, 4);
  file.read_into(read);
  EXPECT_TRUE(std::equal(read.counts().begin(), read.counts().end(), table.counts().begin()));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "deep"), {}), 1);
}

TEST_F(CoactivationFileTest, DoesNotUseWhatDoesNotFit) {
  const CoactivationFile file(folder_.string(), index_);
  Coactivation other(3, 4);
  file.read_into(other);  // no file at all
  ASSERT_TRUE(file.write(seen()).ok());
  file.read_into(other);
  std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 1);
  Coactivation read(2, 4);
  file.read_into(read);
  std::ofstream(file.path()) << "something else entirely, long enough to be a header";
  file.read_into(read);
  for (const Coactivation* table : {&other, &read}) {
    for (const uint8_t count : table->counts()) EXPECT_EQ(count, 0);
  }
}

TEST_F(CoactivationFileTest, SaysWhyItCannotWrite) {
  std::ofstream(folder_) << "a file where a folder should be";
  const Status status = CoactivationFile((folder_ / "x").string(), index_).write(seen());
  EXPECT_EQ(status.code(), StatusCode::failed);
  EXPECT_NE(status.message().find("cannot write"), std::string::npos);
}

}  // namespace
}  // namespace hypura
