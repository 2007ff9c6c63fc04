#include "machine/pressure.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "base/units.h"
#include "machine/memory.h"

namespace hypura {
namespace {

// A directory in place of /.
class PressureFiles : public testing::Test {
 protected:
  PressureFiles() {
    std::string path = "./hypura_pressure_test.XXXXXX";
    root_ = ::mkdtemp(path.data());
    write("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:   800 kB\n");
    write("/proc/self/statm", "900 12 3 1 0 1 0\n");
  }
  ~PressureFiles() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void group(const std::string& folder, const std::string& limit, uint64_t usage) const {
    write("/sys/fs/cgroup" + folder + "/memory.max", limit + "\n");
    write("/sys/fs/cgroup" + folder + "/memory.current", std::to_string(usage) + "\n");
  }

  std::string root_;
};

TEST_F(PressureFiles, WithoutGroupsTheSystemDecides) {
  PressureGauge gauge(root_);
  const MemoryFacts facts = gauge.look();
  EXPECT_EQ(facts.available_bytes, 800 * kKiB);
  EXPECT_EQ(facts.resident_bytes, 12u * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(facts.stalled_share, 0);
}

TEST_F(PressureFiles, ASystemThatDoesNotTellHasNothing) {
  std::filesystem::remove_all(root_ + "/proc");
  EXPECT_EQ(PressureGauge(root_).look().available_bytes, 0u);
}

TEST_F(PressureFiles, EveryLevelOfAGroupLimits) {
  write("/proc/self/cgroup", "0::/outer/inner\n");
  group("/outer/inner", "max", 100 * kKiB);
  group("/outer", std::to_string(500 * kKiB), 300 * kKiB);
  write("/sys/fs/cgroup/outer/memory.stat", "anon 1\nfile 2\ninactive_file 40960\n");
  PressureGauge gauge(root_);
  EXPECT_EQ(gauge.look().available_bytes, 240 * kKiB) << "200, and 40 of page cache";
  group("/outer/inner", std::to_string(150 * kKiB), 100 * kKiB);
  EXPECT_EQ(gauge.look().available_bytes, 50 * kKiB) << "limits may change";
  group("/outer/inner", std::to_string(90 * kKiB), 100 * kKiB);
  EXPECT_EQ(gauge.look().available_bytes, 0u);
}

TEST_F(PressureFiles, GroupsOfVersion1) {
  write("/proc/self/cgroup", "5:memory:/g\n4:cpu:/\n0::/\n");
  const std::string folder = "/sys/fs/cgroup/memory/g/";
  write(folder + "memory.limit_in_bytes", std::to_string(700 * kKiB));
  write(folder + "memory.usage_in_bytes", std::to_string(600 * kKiB));
  write(folder + "memory.stat", "inactive_file 4096\ntotal_inactive_file 8192\n");
  PressureGauge gauge(root_);
  EXPECT_EQ(gauge.look().available_bytes, 108 * kKiB);
  std::filesystem::remove_all(root_ + folder);
  EXPECT_EQ(gauge.look().available_bytes, 108 * kKiB) << "open files stay";
}

TEST_F(PressureFiles, StallsCountSinceTheLastLook) {
  const std::string averages = "some avg10=0.00 avg60=0.00 avg300=0.00 ";
  write("/proc/pressure/memory", averages + "total=5000000\nfull total=1\n");
  PressureGauge gauge(root_);
  EXPECT_EQ(gauge.look().stalled_share, 0) << "what was before does not count";
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  write("/proc/pressure/memory", averages + "total=5002000\nfull total=1\n");
  const double share = gauge.look().stalled_share;
  EXPECT_GT(share, 0);
  EXPECT_LE(share, 0.2) << "2 ms of at least 10";
  EXPECT_EQ(gauge.look().stalled_share, 0);
}

TEST(PressureGauge, SeesThisProcessAndMachine) {
  const MemoryFacts facts = PressureGauge().look();
  EXPECT_LT(facts.resident_bytes, resident_bytes() + 16 * kMiB);
  EXPECT_LT(resident_bytes(), facts.resident_bytes + 16 * kMiB);
  const long machine_bytes = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  EXPECT_GT(facts.available_bytes, 0u);
  EXPECT_LT(facts.available_bytes, static_cast<uint64_t>(machine_bytes));
}

TEST(PressureGauge, ALookIsCheap) {
  PressureGauge gauge;
  double least_us = std::numeric_limits<double>::max();
  for (int i = 0; i < 200; ++i) {
    const auto start = std::chrono::steady_clock::now();
    gauge.look();
    least_us = std::min(least_us, std::chrono::duration<double, std::micro>(
                                      std::chrono::steady_clock::now() - start)
                                      .count());
  }
  EXPECT_LT(least_us, 250) << "13 measured; deep hierarchies and slow machines take more";
  RecordProperty("least_us", static_cast<int>(least_us));
}

}  // namespace
}  // namespace hypura
