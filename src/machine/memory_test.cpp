#include "machine/memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

TEST(Memory, ResidentFollowsTouchedPages) {
  const uint64_t before = resident_bytes();
  std::vector<char> memory(64 * kMiB, 1);
  EXPECT_GE(resident_bytes(), before + 60 * kMiB);
  EXPECT_GE(peak_resident_bytes(), resident_bytes() - kMiB);
  EXPECT_EQ(memory[12345], 1);
}

TEST(Memory, ProgramIsMoreThanItsPagesInMemory) {
  EXPECT_GT(program_bytes({}), 100 * kKiB);
  EXPECT_GE(program_bytes({}) + anonymous_bytes(), resident_bytes());
  EXPECT_GT(resident_bytes(), anonymous_bytes());
}

TEST(Memory, LargeLibrariesCountByWhatIsPresent) {
  constexpr size_t kBytes = 300 * kMiB;
  constexpr size_t kTouched = 100 * kMiB;
  const std::string path = ::testing::TempDir() + "/hypura-library-" + std::to_string(::getpid());
  std::ofstream(path).close();
  std::filesystem::resize_file(path, kBytes);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  std::filesystem::remove(path);
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const uint64_t absent = program_bytes({});
  EXPECT_LT(absent, kBytes / 2);

  const volatile char* const bytes = static_cast<const char*>(mapped);
  for (size_t i = 0; i < kTouched; i += 4 * kKiB) static_cast<void>(bytes[i]);
  EXPECT_GE(program_bytes({}), absent + kTouched);
  ::munmap(mapped, kBytes);
  ::close(fd);
}

TEST(Memory, WhatIsWrittenInALibraryCountsOnce) {
  constexpr size_t kBytes = 300 * kMiB;
  constexpr size_t kWritten = 100 * kMiB;
  const std::string path = ::testing::TempDir() + "/hypura-relocated-" + std::to_string(::getpid());
  std::ofstream(path).close();
  std::filesystem::resize_file(path, kBytes);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  std::filesystem::remove(path);
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const uint64_t program = program_bytes({});
  const uint64_t anonymous = anonymous_bytes();

  volatile char* const bytes = static_cast<char*>(mapped);
  for (size_t i = 0; i < kWritten; i += 4 * kKiB) bytes[i] = 1;
  EXPECT_GE(anonymous_bytes(), anonymous + kWritten - kMiB);
  EXPECT_NEAR(static_cast<double>(program_bytes({})), static_cast<double>(program), 8.0 * kMiB);
  ::munmap(mapped, kBytes);
  ::close(fd);
}

TEST(Memory, SomethingIsAvailable) {
  EXPECT_GT(available_bytes(), 16 * kMiB);
  EXPECT_LT(available_bytes(), uint64_t{1} << 50);
}

TEST(Memory, ALimitIsMoreThanWhatIsLeftOfIt) {
  if (limit_bytes() == 0) GTEST_SKIP() << "no limit here";
  EXPECT_GE(limit_bytes(), available_bytes());
}

}  // namespace
}  // namespace hypura
