#include "machine/memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#if defined(__APPLE__)
#include <mach/mach.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#endif

#include "base/units.h"
#include "machine/count_file.h"

namespace hypura {
namespace {

#if defined(__APPLE__)

std::optional<mach_task_basic_info> task_information() {
  mach_task_basic_info info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, reinterpret_cast<task_info_t>(&info),
                &count) != KERN_SUCCESS) {
    return std::nullopt;
  }
  return info;
}

#else

// The value of a "Key:  123 kB" line, in bytes.
std::optional<uint64_t> field_bytes(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * kKiB;
  }
  return std::nullopt;
}

std::optional<uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* inactive_file;
};
constexpr GroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file"};
constexpr GroupFiles kVersion2{"memory.max", "memory.current", "inactive_file"};

// What the group at `path` and all its parents allow, and leave.
struct GroupMemory {
  uint64_t limit = UINT64_MAX;
  uint64_t headroom = UINT64_MAX;
};

void narrow(GroupMemory& memory, const std::string& mount, std::string path,
            const GroupFiles& files) {
  while (true) {
    const std::string directory = mount + path + "/";
    const std::optional<uint64_t> limit = number_in(directory + files.limit);  // "max" is no number
    const std::optional<uint64_t> usage = number_in(directory + files.usage);
    if (limit) memory.limit = std::min(memory.limit, *limit);
    if (limit && usage) {
      const uint64_t droppable = count_in(directory + "memory.stat", files.inactive_file);
      const uint64_t used = *usage - std::min(*usage, droppable);
      memory.headroom = std::min(memory.headroom, *limit - std::min(*limit, used));
    }
    if (path.empty() || path == "/") return;
    path.erase(path.find_last_of('/'));
  }
}

GroupMemory control_group_memory() {
  GroupMemory memory;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "5:memory:/path" for version 1, "0::/path" for version 2.
    std::istringstream fields(line);
    std::string id, controllers, path;
    std::getline(fields, id, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (controllers == "memory") {
      narrow(memory, "/sys/fs/cgroup/memory", path, kVersion1);
    } else if (controllers.empty()) {
      narrow(memory, "/sys/fs/cgroup", path, kVersion2);
    }
  }
  return memory;
}

#endif

}  // namespace

uint64_t resident_bytes() {
#if defined(__APPLE__)
  const auto info = task_information();
  return info ? info->resident_size : 0;
#else
  return field_bytes("/proc/self/status", "VmRSS").value_or(0);
#endif
}

uint64_t peak_resident_bytes() {
#if defined(__APPLE__)
  const auto info = task_information();
  return info ? info->resident_size_max : 0;
#else
  return field_bytes("/proc/self/status", "VmHWM").value_or(0);
#endif
}

uint64_t anonymous_bytes() {
#if defined(__APPLE__)
  return resident_bytes();
#else
  return field_bytes("/proc/self/status", "RssAnon").value_or(0);
#endif
}

uint64_t program_bytes(const std::vector<std::string>& data_files) {
#if defined(__APPLE__)
  static_cast<void>(data_files);
  return 0;  // resident_bytes() has it
#else
  uint64_t bytes = 0;
  std::ifstream file("/proc/self/maps");
  for (std::string line; std::getline(file, line);) {
    // "BEGIN-END PERMISSIONS OFFSET DEVICE INODE PATH"
    const size_t path = line.find('/');
    if (path == std::string::npos) continue;
    if (std::find(data_files.begin(), data_files.end(), line.substr(path)) != data_files.end()) {
      continue;
    }
    char* end = nullptr;
    const uint64_t first = std::strtoull(line.c_str(), &end, 16);
    bytes += std::strtoull(end + 1, nullptr, 16) - first;
  }
  return bytes;
#endif
}

uint64_t available_bytes() {
#if defined(__APPLE__)
  uint64_t total = 0;
  size_t size = sizeof total;
  if (sysctlbyname("hw.memsize", &total, &size, nullptr, 0) != 0) return 0;
  vm_statistics64 statistics{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (host_statistics64(mach_host_self(), HOST_VM_INFO64,
                        reinterpret_cast<host_info64_t>(&statistics), &count) != KERN_SUCCESS) {
    return total / 2;
  }
  return (uint64_t{statistics.free_count} + statistics.inactive_count +
          statistics.purgeable_count) *
         vm_kernel_page_size;
#else
  const uint64_t system = field_bytes("/proc/meminfo", "MemAvailable").value_or(0);
  return std::min(system, control_group_memory().headroom);
#endif
}

uint64_t limit_bytes() {
#if defined(__APPLE__)
  return 0;
#else
  // Version 1 writes "no limit" as a number above any memory.
  const uint64_t limit = control_group_memory().limit;
  return limit < field_bytes("/proc/meminfo", "MemTotal").value_or(0) ? limit : 0;
#endif
}

}  // namespace hypura
