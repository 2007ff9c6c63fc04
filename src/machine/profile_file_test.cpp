#include "machine/profile_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>
#include <vector>

#include "machine/profile_json.h"

namespace hypura {
namespace {

constexpr int64_t kNow = 1'795'378'200;  // 2026-11-22
constexpr int64_t kDay = 24 * 60 * 60;

MachineProfile kept_profile() {
  MachineProfile profile;
  profile.date = iso_date(kNow - kDay);
  profile.cpu = "A CPU";
  profile.system = "Linux 6.18";
  profile.cores = 8;
  profile.logical_cores = 16;
  profile.memory.total_bytes = 32'000'000'000;
  profile.drive.device = "nvme0n1";
  profile.drive.filesystem = "ext4";
  return profile;
}

TEST(WhyStale, TheSameMachineIsFresh) {
  EXPECT_EQ(why_stale(kept_profile(), kept_profile(), kNow), "");
}

TEST(WhyStale, EveryDifferenceIsSaid) {
  using Change = std::pair<std::function<void(MachineProfile&)>, const char*>;
  const std::vector<Change> changes = {
      {[](MachineProfile& p) { p.cpu = "Another"; }, "the CPU was Another and is A CPU"},
      {[](MachineProfile& p) { p.system = "Linux 5"; }, "the system was Linux 5 and is Linux 6.18"},
      {[](MachineProfile& p) { p.cores = 4; }, "4 cores could be used and now 8"},
      {[](MachineProfile& p) { p.logical_cores = 8; }, "8 logical cores could be used and now 16"},
      {[](MachineProfile& p) { p.memory.total_bytes = 16'000'000'000; },
       "memory was 14.9 GiB and is 29.8 GiB"},
      {[](MachineProfile& p) { p.drive.device = "sda"; }, "the drive was sda and is nvme0n1"},
      {[](MachineProfile& p) { p.gpus.push_back({.name = "A GPU"}); },
       "the GPU was A GPU and is none"},
      {[](MachineProfile& p) { p.drive.filesystem = "xfs"; },
       "the file system was xfs and is ext4"},
      {[](MachineProfile& p) { p.date = iso_date(kNow - 31 * kDay); }, "it is 31 days old"},
      {[](MachineProfile& p) { p.date = iso_date(kNow + 2 * kDay); },
       "its date is in the future: 2026-11-24"},
      {[](MachineProfile& p) { p.date = iso_date(kNow - 2 * kDay), p.warnings = {"busy: x"}; },
       "it was measured while other programs computed"},
      {[](MachineProfile& p) { p.date = "yesterday"; }, "it has no date"},
      {[](MachineProfile& p) { p.date = ""; }, "it has no date"},
  };
  for (const auto& [change, expected] : changes) {
    MachineProfile kept = kept_profile();
    change(kept);
    EXPECT_TRUE(why_stale(kept, kept_profile(), kNow).starts_with(expected))
        << why_stale(kept, kept_profile(), kNow);
  }
}

TEST(WhyStale, WhatAProfileDoesNotSayIsNotCompared) {
  MachineProfile kept;
  kept.date = "2026-11-22";  // as a person writes it
  EXPECT_EQ(why_stale(kept, kept_profile(), kNow), "");
}

TEST(WhyStale, ALittleMemoryMoreOrLessIsTheSameMachine) {
  MachineProfile kept = kept_profile();
  kept.memory.total_bytes -= 100'000'000;
  EXPECT_EQ(why_stale(kept, kept_profile(), kNow), "");
}

TEST(IsoDate, IsUtc) { EXPECT_EQ(iso_date(0), "1970-01-01T00:00:00Z"); }

TEST(ProfilePath, IsOneFileNameWhateverTheDriveIsCalled) {
  MachineProfile facts;
  facts.drive.device = "server:/../export";
  facts.drive.filesystem = "nfs4";
  const std::string path = profile_path("/cache", facts);
  EXPECT_TRUE(path.starts_with("/cache/"));
  EXPECT_EQ(path.find('/', 7), std::string::npos) << path;
  EXPECT_TRUE(path.ends_with("-server__.._export-nfs4.json")) << path;
}

TEST(MachineFacts, AreThisMachines) {
  const MachineProfile facts = machine_facts("/proc/self/exe");
  EXPECT_FALSE(facts.cpu.empty());
  EXPECT_GE(facts.cores, 1);
  EXPECT_GT(facts.memory.total_bytes, 0u);
  EXPECT_FALSE(facts.drive.device.empty());
}

class Folder : public testing::Test {
 protected:
  Folder() {
    std::string path = "./hypura_profile_test.XXXXXX";
    root_ = ::mkdtemp(path.data());
  }
  ~Folder() override { std::filesystem::remove_all(root_); }
  std::string root_;
};

TEST_F(Folder, WhatIsWrittenIsReadAndNothingElseLeft) {
  const std::string path = root_ + "/a/b/p.json";
  ASSERT_TRUE(write_profile(path, kept_profile()).ok());
  ASSERT_TRUE(write_profile(path, kept_profile()).ok()) << "replaces";
  const Result<MachineProfile> read = read_profile(path);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(profile_json(*read), profile_json(kept_profile()));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/a/b")) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(files, 1);
}

TEST_F(Folder, AFolderThatCannotBeIsSaid) {
  std::ofstream(root_ + "/file") << "x";
  const Status status = write_profile(root_ + "/file/p.json", kept_profile());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.why(), "Not a directory");
}

TEST_F(Folder, WhatIsNoProfileIsRefusedWithItsPath) {
  EXPECT_EQ(read_profile(root_ + "/none").status().why(), "No such file or directory");
  EXPECT_EQ(read_profile(root_).status().why(), "it is no regular file");
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_profile(root_ + "/fifo").status().why(), "it is no regular file");
  std::ofstream(root_ + "/bad") << "{\"schema\": 1, \"cores\": -1}";
  const Status status = read_profile(root_ + "/bad").status();
  EXPECT_NE(status.message().find(root_ + "/bad"), std::string::npos);
  EXPECT_EQ(status.why(), "cores is negative: -1");
  std::ofstream(root_ + "/large") << std::string(kProfileBytesMax * 3, ' ');
  EXPECT_EQ(read_profile(root_ + "/large").status().why(), "it has more than 1048576 bytes");
}

}  // namespace
}  // namespace hypura
