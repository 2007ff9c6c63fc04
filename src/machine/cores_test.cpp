#include "machine/cores.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hypura {
namespace {

class FakeSystem : public testing::Test {
 protected:
  FakeSystem() {
    std::string path = "./hypura_cores_test.XXXXXX";
    root_ = ::mkdtemp(path.data());
  }
  ~FakeSystem() override { std::filesystem::remove_all(root_); }
  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string root_;
};

TEST_F(FakeSystem, SiblingsAreOneCore) {
  for (int cpu = 0; cpu < 4; ++cpu) {
    write("cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", cpu % 2 ? "1,3" : "0,2");
  }
  EXPECT_EQ(physical_cores({0, 1, 2, 3}, root_), 2);
  EXPECT_EQ(physical_cores({0, 2}, root_), 1);
  EXPECT_EQ(physical_cores({0, 1, 9}, root_), 3) << "nothing is known of CPU 9";
}

TEST_F(FakeSystem, TheSmallestQuotaOfAllParentsCounts) {
  EXPECT_EQ(cpu_quota(root_), 0) << "no groups";
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota(root_), 0);
  write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(cpu_quota(root_), 1.5);
  write("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(cpu_quota(root_), 1.5);
}

TEST_F(FakeSystem, QuotasOfVersion1) {
  write("proc/self/cgroup", "5:memory:/a\n4:cpuacct,cpu:/a\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(root_), 0);
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(cpu_quota(root_), 0.5);
}

TEST(UsableCores, AreAtLeastOne) {
  const Cores cores = usable_cores();
  EXPECT_GE(cores.physical, 1);
  EXPECT_GE(cores.logical, cores.physical);
}

}  // namespace
}  // namespace hypura
