#include "machine/memory.h"

#include <gtest/gtest.h>

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
