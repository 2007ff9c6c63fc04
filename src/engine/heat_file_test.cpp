#include "engine/heat_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/statistics_path.h"

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

TEST_F(HeatFile, AnythingElseIsNoHeat) {
  for (const char* text : {"", "warm", "-1", "11", "nan", "inf"}) {
    write(text);
    EXPECT_FALSE(read_heat(folder_, index_).has_value()) << text;
  }
}

}  // namespace
}  // namespace hypura
