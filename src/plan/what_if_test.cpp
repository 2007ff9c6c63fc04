#include "plan/what_if.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace hypura {
namespace {

TEST(WhatIf, TakesRamAndDrive) {
  const auto changes = parse_what_if("+16G-ram,7.5GB/s");
  ASSERT_TRUE(changes.ok()) << changes.status().to_string();
  MachineProfile machine{.memory = {.total_bytes = 32 * kGiB}};
  machine.drive = {.samples = {{.read_bytes = 1, .depth = 1, .gbps = 2}},
                   .sequential_gbps = 2.5,
                   .scattered_gbps = 1};
  uint64_t budget = 20 * kGiB;
  apply(*changes, machine, budget);
  EXPECT_EQ(budget, 36 * kGiB);
  EXPECT_EQ(machine.memory.total_bytes, 48 * kGiB);
  EXPECT_DOUBLE_EQ(machine.drive.sequential_gbps, 7.5);
  EXPECT_DOUBLE_EQ(machine.drive.scattered_gbps, 3);
  EXPECT_DOUBLE_EQ(machine.drive.samples[0].gbps, 6);
}

TEST(WhatIf, LessAndAbsolute) {
  MachineProfile machine{.memory = {.total_bytes = 32 * kGiB}};
  uint64_t budget = 20 * kGiB;
  apply(*parse_what_if("64G-ram"), machine, budget);
  EXPECT_EQ(budget, 52 * kGiB);
  apply(*parse_what_if("-60G-ram"), machine, budget);
  EXPECT_EQ(budget, 0u) << "less than nothing is nothing";
}

TEST(WhatIf, RefusesNonsense) {
  for (const char* text : {"", ",", "+16G", "16", "ram", "-ram", "+0G-ram", "+-1G-ram", "0GB/s",
                           "-1GB/s", "nanGB/s", "infGB/s", "1e9GB/s", "7GB/s,", "7 GB/s"}) {
    EXPECT_EQ(parse_what_if(text).status().code(), StatusCode::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace hypura
