#include "machine/memory_bandwidth.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

TEST(MemoryBandwidth, IsPlausible) {
  const std::vector<std::byte> memory(32 * kMiB, std::byte{1});
  const Repeated gbps = memory_read_gbps(memory, 2, 0.1);
  EXPECT_GT(gbps.median(), 0.05);
  EXPECT_LT(gbps.median(), 20'000);
}

TEST(MemoryBandwidth, OfNothingIsNotKnown) {
  EXPECT_TRUE(memory_read_gbps({}, 4, 1).empty());
}

TEST(MemoryBandwidth, StopsWhenAsked) {
  const std::vector<std::byte> memory(kMiB);
  const std::atomic<bool> stop = true;
  EXPECT_TRUE(memory_read_gbps(memory, 2, 1e6, &stop).empty());
}

}  // namespace
}  // namespace hypura
