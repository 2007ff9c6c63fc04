#include "machine/diagnosis.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

Health well() {
  Health health;
  health.huge_pages = "madvise";
  health.files_max = 1024;
  health.locked_bytes_max = 8 * kMiB;
  health.memory_bytes = 32 * kGiB;
  health.available_bytes = 24 * kGiB;
  health.governor = "schedutil";
  health.cores = {.physical = 8, .logical = 8};
  health.volume = {.device = "nvme0n1", .filesystem = "ext4", .free_bytes = 100 * kGiB};
  health.direct = true;
  return health;
}

TEST(Diagnose, AWellMachineHasNothing) {
  EXPECT_TRUE(diagnose(well(), {}).empty());
  EXPECT_TRUE(diagnose(well(), {"quick: x", "small: x"}).empty()) << "no faults of the machine";
}

struct Case {
  std::function<void(Health&)> change;
  std::string topic;
  std::string what;  // a part of it
  std::string fix;   // a part of it
};

TEST(Diagnose, EachFaultIsFoundAloneWithItsFix) {
  const std::vector<Case> cases = {
      {[](Health& h) { h.uring = false, h.uring_why = "no io_uring", h.uring_disabled = 2; },
       "io_uring", "no io_uring; a pool of threads", "sysctl kernel.io_uring_disabled=0"},
      {[](Health& h) { h.uring = false; }, "io_uring", "pool", "seccomp"},
      {[](Health& h) { h.uring = false, h.locked_bytes_max = 64 * kKiB; }, "io_uring", "pool",
       "ulimit -l"},
      {[](Health& h) { h.direct = false, h.volume.filesystem = "zfs"; }, "direct reads",
       "zfs refuses", "ext4"},
      {[](Health& h) { h.in_memory = true, h.direct = false, h.volume.filesystem = "tmpfs"; },
       "place", "tmpfs keeps the model in RAM", "drive"},
      {[](Health& h) { h.volume.filesystem = "nfs4"; }, "place", "another machine (nfs4)", "copy"},
      {[](Health& h) { h.volume.filesystem = "overlay"; }, "place", "overlay", "mount"},
      {[](Health& h) { h.volume.rotational = true; }, "place", "nvme0n1 is a disk that turns",
       "SSD"},
      {[](Health& h) { h.huge_pages = "never"; }, "huge pages", "half as fast", "echo madvise"},
      {[](Health& h) { h.files_max = 64; }, "open files", "only 64 files", "ulimit -n 4096"},
      {[](Health& h) { h.available_bytes = 500 * kMiB; }, "memory", "only 500.0 MiB", "end other"},
      {[](Health& h) { h.limit_bytes = 4 * kGiB; }, "memory limit", "4.0 GiB of 32.0 GiB",
       "raise it"},
      {[](Health& h) { h.swap_used_bytes = kGiB; }, "swap", "1.0 GiB are swapped out",
       "--ram-budget"},
      {[](Health& h) { h.governor = "powersave"; }, "processor", "powersave", "cpupower"},
      {[](Health& h) { h.cores = {.physical = 2, .logical = 8, .quota = 1.5}; }, "processor",
       "1.5 of 8 cores", "-t 2"},
      {[](Health& h) { h.cores.logical = 16; }, "processor", "16 logical cores are 8 physical",
       "-t 8"},
      {[](Health& h) { h.volume.free_bytes = kGiB; }, "free space", "1.0 GiB are free on nvme0n1",
       "delete"},
  };
  for (const Case& each : cases) {
    Health health = well();
    each.change(health);
    const std::vector<Finding> findings = diagnose(health, {});
    ASSERT_EQ(findings.size(), 1u) << each.topic << ": " << each.what;
    EXPECT_EQ(findings[0].topic, each.topic);
    EXPECT_EQ(findings[0].severity, Severity::advice);
    EXPECT_NE(findings[0].what.find(each.what), std::string::npos) << findings[0].what;
    EXPECT_NE(findings[0].fix.find(each.fix), std::string::npos) << findings[0].fix;
  }
}

TEST(Diagnose, WhatIsBrokenComesFirst) {
  Health health = well();
  health.limit_bytes = 32 * kMiB;
  health.available_bytes = 20 * kMiB;
  health.files_max = 8;
  const std::vector<Finding> findings = diagnose(health, {"noisy: rates spread"});
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[0].severity, Severity::broken);
  EXPECT_EQ(findings[1].severity, Severity::broken);
  EXPECT_EQ(findings[2].severity, Severity::advice);
  EXPECT_EQ(findings[3].what, "noisy: rates spread");
}

TEST(Diagnose, DriversThatCallTheirNormalWayPowersave) {
  Health health = well();
  health.governor = "powersave";
  health.governor_driver = "intel_pstate";
  EXPECT_TRUE(diagnose(health, {}).empty());
}

TEST(Diagnose, WhatWasNotTriedIsNoFault) {
  Health health = well();
  health.direct.reset();
  health.huge_pages.clear();
  health.volume = {};
  EXPECT_TRUE(diagnose(health, {}).empty());
}

TEST(ChosenWord, IsTheOneInBrackets) {
  EXPECT_EQ(chosen_word("always [madvise] never\n"), "madvise");
  EXPECT_EQ(chosen_word(""), "");
  EXPECT_EQ(chosen_word("] ["), "");
}

TEST(Examine, FindsSomethingHere) {
  const Health health = examine("/proc/self/exe");
  EXPECT_GT(health.files_max, 0u);
  EXPECT_GT(health.memory_bytes, health.available_bytes);
  EXPECT_TRUE(health.uring || !health.uring_why.empty());
  EXPECT_TRUE(health.direct.has_value());
  EXPECT_FALSE(examine("/tmp").direct.has_value()) << "a folder cannot be read";
}

}  // namespace
}  // namespace hypura
