#include "engine/heat_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/statistics_path.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

class HeatFile : public testing::Test {
 protected:
  // A folder each: tests of this file run beside each other.
  HeatFile() {
    std::string folder = testing::TempDir() + "hypura-heat-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    path_ = statistics_path(folder_, index_, "heat");
  }
  ~HeatFile() override { std::filesystem::remove_all(folder_); }
  void write(const char* text) const { std::ofstream(path_) << text; }

  const ModelIndex index_;
  std::string folder_;
  std::string path_;
};

TEST_F(HeatFile, ReturnsWhatWasWritten) {
  EXPECT_FALSE(read_heat(folder_, index_).has_value());
  ASSERT_TRUE(write_heat(folder_, index_, 0.75).ok());
  EXPECT_DOUBLE_EQ(read_heat(folder_, index_).value(), 0.75);
}

TEST_F(HeatFile, IsOfOneModelOfThatShape) {
  const auto named = [&](const char* name) {
    const std::string file = fmt::format("{}/{}.gguf", folder_, name);
    std::ofstream(file, std::ios::binary) << GgufBytes()
                                                 .text("general.architecture", "tiny")
                                                 .text("general.name", name)
                                                 .tensor({.name = "a", .ne = {4}, .bytes = 16})
                                                 .build();
    return *ModelIndex::open(file);
  };
  const ModelIndex one = named("one");
  const ModelIndex two = named("two");
  ASSERT_TRUE(write_heat(folder_, one, 0.75).ok());
  EXPECT_TRUE(read_heat(folder_, one).has_value());
  EXPECT_FALSE(read_heat(folder_, two).has_value());
}

TEST_F(HeatFile, AnythingElseIsNoHeat) {
  for (const char* text : {"", "warm", "-1", "11", "nan", "inf"}) {
    write(text);
    EXPECT_FALSE(read_heat(folder_, index_).has_value()) << text;
  }
}

}  // namespace
}  // namespace hypura
