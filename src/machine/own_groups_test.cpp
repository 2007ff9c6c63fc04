#include "machine/own_groups.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hypura {
namespace {

// A directory in place of /.
class OwnGroups : public testing::Test {
 protected:
  OwnGroups() {
    std::string path = "./hypura_own_groups_test.XXXXXX";
    root_ = ::mkdtemp(path.data());
  }
  ~OwnGroups() override { std::filesystem::remove_all(root_); }

  // The folders below root_, as this process would see them with `cgroup` in /proc.
  std::vector<std::string> folders(const std::string& cgroup, std::string_view controller) const {
    std::filesystem::create_directories(root_ + "/proc/self");
    std::ofstream(root_ + "/proc/self/cgroup") << cgroup;
    std::vector<std::string> names;
    for (const OwnGroup& group : own_groups(controller, root_)) {
      EXPECT_EQ(group.parent, !names.empty());
      names.push_back(group.folder.substr(root_.size()));
    }
    return names;
  }

  std::string root_;
};

using Folders = std::vector<std::string>;

TEST_F(OwnGroups, NoneWithoutControlGroups) { EXPECT_TRUE(own_groups("memory", root_).empty()); }

TEST_F(OwnGroups, OfVersion2WithAllParents) {
  EXPECT_EQ(folders("0::/a/b\n", "memory"),
            (Folders{"/sys/fs/cgroup/a/b/", "/sys/fs/cgroup/a/", "/sys/fs/cgroup/"}));
}

TEST_F(OwnGroups, OfVersion1ByController) {
  const std::string cgroup = "7:cpuset:/x\n5:cpuacct,cpu:/c\n4:memory:/m\n";
  EXPECT_EQ(folders(cgroup, "memory"),
            (Folders{"/sys/fs/cgroup/memory/m/", "/sys/fs/cgroup/memory/"}));
  EXPECT_EQ(folders(cgroup, "cpu"), (Folders{"/sys/fs/cgroup/cpu/c/", "/sys/fs/cgroup/cpu/"}));
}

TEST_F(OwnGroups, BothVersionsBesideEachOther) {
  folders("", "memory");
  std::ofstream(root_ + "/proc/self/cgroup") << "4:memory:/\n0::/\n";
  const std::vector<OwnGroup> groups = own_groups("memory", root_);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_TRUE(groups[0].version1);
  EXPECT_FALSE(groups[1].version1);
}

}  // namespace
}  // namespace hypura
