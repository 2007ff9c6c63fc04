#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hypura {

// Where a file or folder lies. Empty and 0: not known.
struct Volume {
  std::string device;      // "nvme0n1": the whole drive, of a partition too
  std::string filesystem;  // "ext4", "overlay", "nfs4"
  uint64_t free_bytes = 0;  // for this user
  bool rotational = false;  // a disk that turns
};

Volume volume_of(const std::string& path);

// A line of /proc/self/mountinfo.
struct Mount {
  std::string point;
  std::string filesystem;
  std::string source;  // "/dev/vda", "server:/export"
};

// The mount that holds `path`, an absolute path without links. Of several at one place the last one
// counts: it hides the others. All empty if the text has none.
Mount mount_of(std::string_view path, const std::string& mountinfo);

// Whether another machine serves the file system.
bool is_network(std::string_view filesystem);

}  // namespace hypura
