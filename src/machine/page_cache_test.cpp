#include "machine/page_cache.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace hypura {
namespace {

TEST(PageCache, KnowsFilesThatLieInMemory) {
#ifdef __linux__
  EXPECT_FALSE(lies_in_memory("/proc/self/maps"));
  EXPECT_FALSE(lies_in_memory("/no/such/file"));
  const std::string path = "/dev/shm/hypura-page-cache-test";
  std::ofstream(path) << "x";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no tmpfs to write to at /dev/shm";
  EXPECT_TRUE(lies_in_memory(path));
  std::remove(path.c_str());
#else
  GTEST_SKIP() << "no such file systems here";
#endif
}

}  // namespace
}  // namespace hypura
