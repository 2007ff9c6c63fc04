#include "machine/memory_group.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/units.h"

namespace hypura {
namespace {

// A directory in place of /sys/fs/cgroup.
class FakeMount : public testing::Test {
 protected:
  FakeMount() {
    std::string path = "./hypura_group_test.XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~FakeMount() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

TEST_F(FakeMount, WithoutControllersIsRefused) {
  const Result<MemoryGroup> group = MemoryGroup::create("g", kGiB, path_);
  ASSERT_FALSE(group.ok());
  EXPECT_EQ(group.status().message(), "this system has no memory control groups");
  EXPECT_FALSE(std::filesystem::exists(path_ + "/g"));
}

TEST_F(FakeMount, AGroupThatTakesNoLimitIsRemovedAgain) {
  std::ofstream(path_ + "/cgroup.controllers") << "cpu io";  // version 2, without memory
  const Result<MemoryGroup> group = MemoryGroup::create("g", kGiB, path_);
  ASSERT_FALSE(group.ok());
  EXPECT_NE(group.status().message().find("memory.max: No such file"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/g"));
}

// Touches `bytes` inside the group; how it ended.
int touch_inside(const MemoryGroup& group, size_t bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream(group.entry()) << "0";
    void* memory = std::malloc(bytes);
    std::memset(memory, 1, bytes);
    ::_exit(static_cast<unsigned char*>(memory)[bytes - 1] == 1 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(MemoryGroup, LimitsAndCountsAndGoes) {
  if (const std::string why = MemoryGroup::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
  const std::string name = "hypura-test-" + std::to_string(::getpid());
  std::string entry;
  {
    const Result<MemoryGroup> group = MemoryGroup::create(name, 256 * kMiB);
    ASSERT_TRUE(group.ok()) << group.status().to_string();
    entry = group->entry();
    EXPECT_EQ(touch_inside(*group, 16 * kMiB), 0);
    EXPECT_EQ(group->kills(), 0u);
    EXPECT_GE(group->peak_bytes().value_or(kGiB), 16 * kMiB);
    EXPECT_TRUE(WIFSIGNALED(touch_inside(*group, 512 * kMiB)));
    EXPECT_EQ(group->kills(), 1u);
    EXPECT_FALSE(MemoryGroup::create(name, kGiB).ok()) << "the name is taken";
    EXPECT_TRUE(std::filesystem::exists(entry));
  }
  EXPECT_FALSE(std::filesystem::exists(entry));
}

}  // namespace
}  // namespace hypura
