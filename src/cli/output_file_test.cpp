#include "cli/output_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "model/gguf_bytes_for_test.h"

namespace hypura::cli {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(OutputFile, AModelIsNoPlaceToWriteTo) {
  const TestDirectory directory;
  const std::string model = directory.write("m.gguf", tiny_moe().build());
  const Status status = check_output(model, "--save");
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_EQ(status.to_string(),
            "error: " + model + " is a model\n  try: another file for --save");
  EXPECT_TRUE(check_output(directory.write("a.json", "GGU"), "--save").ok()) << "too short";
  EXPECT_TRUE(check_output(directory.write("b.json", "{}, not GGUF"), "--save").ok());
  EXPECT_TRUE(check_output(model + ".none", "--save").ok());
  EXPECT_TRUE(check_output("/dev/null", "--save").ok());
}

TEST(OutputFile, ReplacesWhatWasThere) {
  const TestDirectory directory;
  const std::string path = directory.write("plan.json", "something longer");
  ASSERT_TRUE(write_file(path, "{}\n").ok());
  EXPECT_EQ(content_of(path), "{}\n");
}

TEST(OutputFile, SaysWhyItCannotBeWritten) {
  const TestDirectory directory;
  const std::string nowhere = directory.write("a.json", "") + "/none/plan.json";
  EXPECT_EQ(write_file(nowhere, "{}").to_string(),
            "error: cannot write " + nowhere + "\n  why: Not a directory");
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(write_file("/dev/full", "{}").why(), "No space left on device");
}

}  // namespace
}  // namespace hypura::cli
