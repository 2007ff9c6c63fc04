#include "machine/memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#if defined(__APPLE__)
#include <mach/mach.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#endif

#include "base/units.h"
#include "machine/own_groups.h"
#include "machine/pressure.h"

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

constexpr std::string_view kRss = "Rss:";
constexpr std::string_view kAnonymous = "Anonymous:";
// What code is touched later on.
constexpr uint64_t kProgramGrowth = 64 * kMiB;

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
  uint64_t mapped = 0;
  uint64_t present = 0;
  uint64_t written = 0;
  bool counts = false;
  std::ifstream file("/proc/self/smaps");
  for (std::string line; std::getline(file, line);) {
    // "BEGIN-END PERMISSIONS OFFSET DEVICE INODE PATH" begins a mapping, "Rss:  123 kB" is of it.
    // Pages that were written to, as relocations are, are anonymous.
    char* end = nullptr;
    const uint64_t first = std::strtoull(line.c_str(), &end, 16);
    if (end != line.c_str() && *end == '-') {
      const size_t path = line.find('/');
      counts = path != std::string::npos &&
               std::find(data_files.begin(), data_files.end(), line.substr(path)) ==
                   data_files.end();
      if (counts) mapped += std::strtoull(end + 1, nullptr, 16) - first;
    } else if (counts && line.starts_with(kRss)) {
      present += std::strtoull(line.c_str() + kRss.size(), nullptr, 10) * kKiB;
    } else if (counts && line.starts_with(kAnonymous)) {
      written += std::strtoull(line.c_str() + kAnonymous.size(), nullptr, 10) * kKiB;
    }
  }
  return std::min(mapped, present + kProgramGrowth) - written;
#endif
}

uint64_t available_bytes() {
#if defined(__APPLE__)
  uint64_t total = 0;
  size_t size = sizeof total;
  if (sysctlbyname("hw.memsize", &total, &size, nullptr, 0) != 0) return 0;
  // Each call of mach_host_self() takes one more reference to the port.
  static const host_t host = mach_host_self();
  vm_statistics64 statistics{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (host_statistics64(host, HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&statistics),
                        &count) != KERN_SUCCESS) {
    return total / 2;
  }
  return (uint64_t{statistics.free_count} + statistics.inactive_count +
          statistics.purgeable_count) *
         vm_kernel_page_size;
#else
  return PressureGauge().look().available_bytes;
#endif
}

uint64_t limit_bytes() {
#if defined(__APPLE__)
  return 0;
#else
  const uint64_t total = field_bytes("/proc/meminfo", "MemTotal").value_or(0);
  uint64_t limit = total;
  for (const OwnGroup& group : own_groups("memory")) {
    const std::string file = group.version1 ? "memory.limit_in_bytes" : "memory.max";
    limit = std::min(limit, number_in(group.folder + file).value_or(total));  // "max" is no number
  }
  // Version 1 writes "no limit" as a number above any memory.
  return limit < total ? limit : 0;
#endif
}

}  // namespace hypura
