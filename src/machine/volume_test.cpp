#include "machine/volume.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

constexpr const char* kMounts =
    "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "22 21 0:20 / /proc rw - proc proc rw\n"
    "30 21 0:31 / /mnt/my\\040disk rw shared:2 master:1 - btrfs /dev/nvme0n1p2 rw,subvol=/\n"
    "31 21 0:32 / /mnt rw - nfs4 box:/export rw\n"
    "40 21 0:40 / /tmp rw - tmpfs first rw\n"
    "41 40 0:41 / /tmp rw - overlay second rw\n"
    "a broken line\n";

TEST(MountOf, TheLongestPointWins) {
  EXPECT_EQ(mount_of("/home/me/m.gguf", kMounts).filesystem, "ext4");
  EXPECT_EQ(mount_of("/mnt/m.gguf", kMounts).filesystem, "nfs4");
  const Mount mount = mount_of("/mnt/my disk/m.gguf", kMounts);
  EXPECT_EQ(mount.filesystem, "btrfs");
  EXPECT_EQ(mount.source, "/dev/nvme0n1p2");
  EXPECT_EQ(mount.point, "/mnt/my disk");
}

TEST(MountOf, ANameThatBeginsAlikeIsAnother) {
  EXPECT_EQ(mount_of("/mnt2/m.gguf", kMounts).filesystem, "ext4");
  EXPECT_EQ(mount_of("/mnt", kMounts).filesystem, "nfs4");
}

TEST(MountOf, TheLastMountOfAPlaceHidesTheOthers) {
  EXPECT_EQ(mount_of("/tmp/m.gguf", kMounts).filesystem, "overlay");
}

TEST(MountOf, NothingIsNotKnown) { EXPECT_EQ(mount_of("/x", "").filesystem, ""); }

TEST(IsNetwork, TellsServersFromDrives) {
  for (const char* kind : {"nfs4", "cifs", "9p", "fuse.sshfs"}) {
    EXPECT_TRUE(is_network(kind)) << kind;
  }
  for (const char* kind : {"ext4", "", "fuse.ntfs-3g", "tmpfs"}) {
    EXPECT_FALSE(is_network(kind)) << kind;
  }
}

TEST(VolumeOf, KnowsWhereThisTestLies) {
  const Volume volume = volume_of("/proc/self/exe");
  EXPECT_FALSE(volume.filesystem.empty());
  EXPECT_FALSE(volume.device.empty());
}

TEST(VolumeOf, AMissingPathIsNotKnown) {
  const Volume volume = volume_of("/no/such/place");
  EXPECT_EQ(volume.filesystem, "");
  EXPECT_EQ(volume.device, "");
  EXPECT_EQ(volume.free_bytes, 0u);
}

}  // namespace
}  // namespace hypura
