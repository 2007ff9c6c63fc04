#include "machine/volume.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#if defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#else
#include <sys/sysmacros.h>
#endif

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hypura {
namespace {

namespace fs = std::filesystem;

// mountinfo writes blanks and the like as "\040".
std::string unescape(const std::string& text) {
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '7'; };
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool lies_below(std::string_view path, std::string_view point) {
  if (point == "/" || path == point) return true;
  return path.size() > point.size() && path.starts_with(point) && path[point.size()] == '/';
}

#if !defined(__APPLE__)

std::string file_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The drive of a block device's folder in /sys: of a partition the one it is a part of.
void add_drive(const fs::path& folder, Volume& volume) {
  std::error_code error;
  fs::path drive = fs::canonical(folder, error);
  if (error) return;
  if (fs::exists(drive / "partition", error)) drive = drive.parent_path();
  volume.device = drive.filename().string();
  // Virtual disks say that they turn, whatever they lie on.
  const bool is_virtual = volume.device.starts_with("vd") || volume.device.starts_with("xvd");
  volume.rotational = !is_virtual && file_text(drive / "queue/rotational").starts_with('1');
}

#endif

}  // namespace

Mount mount_of(std::string_view path, const std::string& mountinfo) {
  Mount best;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // "36 35 98:0 /root /mount/point opt,opt [tag:value ...] - ext4 /dev/vda rw"
    std::istringstream fields(line);
    std::string word;
    std::string point;
    for (int i = 0; i < 5; ++i) fields >> point;
    while (fields >> word && word != "-") continue;
    Mount mount{.point = unescape(point), .filesystem = "", .source = ""};
    if (!(fields >> mount.filesystem >> mount.source)) continue;
    mount.source = unescape(mount.source);
    if (lies_below(path, mount.point) && mount.point.size() >= best.point.size()) {
      best = std::move(mount);
    }
  }
  return best;
}

bool is_network(std::string_view filesystem) {
  constexpr std::array<std::string_view, 12> kKinds = {
      "nfs",  "nfs4", "cifs", "smb3",        "smbfs",      "ceph",
      "9p",   "afs",  "glusterfs", "fuse.glusterfs", "fuse.sshfs", "lustre"};
  for (std::string_view kind : kKinds) {
    if (filesystem == kind) return true;
  }
  return false;
}

Volume volume_of(const std::string& path) {
  Volume volume;
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) == 0) {
    volume.free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  }
#if defined(__APPLE__)
  struct statfs system {};
  if (::statfs(path.c_str(), &system) == 0) {
    volume.filesystem = system.f_fstypename;
    volume.device = fs::path(system.f_mntfromname).filename().string();
  }
#else
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return volume;
  const Mount mount = mount_of(real.string(), file_text("/proc/self/mountinfo"));
  volume.filesystem = mount.filesystem;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return volume;
  add_drive("/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" +
                std::to_string(minor(info.st_dev)),
            volume);
  // btrfs and others number their volumes themselves; the mount still names a device.
  if (volume.device.empty() && mount.source.starts_with("/dev/")) {
    const fs::path device = fs::canonical(mount.source, error);
    if (!error) add_drive("/sys/class/block/" + device.filename().string(), volume);
  }
  if (volume.device.empty()) volume.device = mount.source;
#endif
  return volume;
}

}  // namespace hypura
