#include "machine/profile_warnings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "base/units.h"
#include "machine/cpu_state.h"

namespace hypura {
namespace {

Doubts none() { return {.file_bytes = kGiB, .load = 0.2, .cores = 8}; }

TEST(WarningsOf, AGoodMeasurementHasNone) {
  Doubts doubts = none();
  doubts.drive_spread = doubts.compute_spread = doubts.memory_spread = 0.15;
  doubts.drive_slowdown = doubts.compute_slowdown = 0.2;
  EXPECT_TRUE(warnings_of(doubts).empty());
  EXPECT_TRUE(warnings_of({}).empty()) << "what was not measured is not doubted";
}

TEST(WarningsOf, EachDoubtIsOneLine) {
  const auto with = [](auto change) {
    Doubts doubts = none();
    change(doubts);
    const std::vector<std::string> warnings = warnings_of(doubts);
    return warnings.size() == 1 ? warnings[0] : "not one";
  };
  EXPECT_EQ(with([](Doubts& d) { d.quick = true; }).substr(0, 6), "quick:");
  EXPECT_EQ(with([](Doubts& d) { d.direct = false; }).substr(0, 9), "buffered:");
  EXPECT_EQ(with([](Doubts& d) { d.direct = false, d.in_memory = true; }).substr(0, 10),
            "in memory:");
  EXPECT_EQ(with([](Doubts& d) { d.file_bytes = 27 * kMiB; }),
            "small: the file's 27.0 MiB were read, a cache of the drive may have answered");
  EXPECT_EQ(with([](Doubts& d) { d.drive_spread = 0.31; }),
            "noisy: rates of the drive spread over 31 %");
  EXPECT_EQ(with([](Doubts& d) { d.compute_spread = 0.16; }),
            "noisy: rates of the processor spread over 16 %");
  EXPECT_EQ(with([](Doubts& d) { d.drive_slowdown = 0.4; }),
            "throttled: the drive ended 40 % slower than it began");
  EXPECT_EQ(with([](Doubts& d) { d.throttle_events = 3; }),
            "throttled: the processor was slowed for its heat 3 times");
  EXPECT_EQ(with([](Doubts& d) { d.load = 5; }),
            "busy: other programs computed, a load of 5.0 on 8 cores");
}

TEST(CpuState, CountsOverAllCores) {
  std::string root = "./hypura_cpu_test.XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  EXPECT_EQ(throttle_events(root), 0u);
  EXPECT_EQ(frequency_governor(root), "");
  for (const auto& [name, count] : {std::pair{"cpu0", 2}, {"cpu11", 3}, {"cpufreq", 100}}) {
    std::filesystem::create_directories(root + "/" + name + "/thermal_throttle");
    std::ofstream(root + "/" + name + "/thermal_throttle/core_throttle_count") << count;
  }
  std::filesystem::create_directories(root + "/cpu0/cpufreq");
  std::ofstream(root + "/cpu0/cpufreq/scaling_governor") << "powersave\n";
  EXPECT_EQ(throttle_events(root), 5u);
  EXPECT_EQ(frequency_governor(root), "powersave");
  EXPECT_EQ(throttle_events(root + "/none"), 0u);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hypura
