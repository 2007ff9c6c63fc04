#include "plugin/host_mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>

namespace hypura {
namespace {

constexpr const char* kSmaps =
    "55550000-55551000 r-xp 00000000 fe:00 10                         /usr/bin/host\n"
    "Size:                  4 kB\n"
    "Locked:                8 kB\n"
    "VmFlags: rd ex mr mw me\n"
    "7f000000-7f004000 r--s 00001000 fe:00 1234                       /models/a b.gguf\n"
    "Rss:                   0 kB\n"
    "Locked:               12 kB\n"
    "7f004000-7f008000 rw-p 00000000 00:00 0 \n"
    "Locked:                4 kB\n"
    "7f008000-7f009000 rw-p 00000000 00:00 0                          [stack]\n";

TEST(HostMapping, NamesTheFile) {
  const std::optional<HostMapping> mapping = find_mapping(kSmaps, 0x7f003fff);
  ASSERT_TRUE(mapping.has_value());
  EXPECT_EQ(mapping->path, "/models/a b.gguf");
  EXPECT_EQ(mapping->locked_bytes, 12u * 1024);
}

TEST(HostMapping, KnowsOnlyFiles) {
  EXPECT_FALSE(find_mapping(kSmaps, 0x7f004000).has_value());
  EXPECT_FALSE(find_mapping(kSmaps, 0x7f008000).has_value());
  EXPECT_FALSE(find_mapping(kSmaps, 0x7f009000).has_value());
  EXPECT_FALSE(find_mapping("", 0x7f000000).has_value());
}

TEST(HostMapping, FindsOnesOfThisProcess) {
  const std::string path = ::testing::TempDir() + "hypura mapped file";
  std::ofstream(path) << "some bytes";
  std::FILE* file = std::fopen(path.c_str(), "r");
  ASSERT_NE(file, nullptr);
  void* memory = mmap(nullptr, 10, PROT_READ, MAP_SHARED, fileno(file), 0);
  ASSERT_NE(memory, MAP_FAILED);
  const Result<HostMapping> mapping = find_mapping(memory);
  ASSERT_TRUE(mapping.ok());
  EXPECT_EQ(mapping->path, path);
  EXPECT_EQ(mapping->locked_bytes, 0u);
  munmap(memory, 10);
  EXPECT_EQ(find_mapping(memory).status().code(), StatusCode::failed);
  std::fclose(file);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace hypura
