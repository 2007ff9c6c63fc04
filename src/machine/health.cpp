#include "machine/health.h"

#include <sys/resource.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/units.h"
#include "io/open_file.h"
#include "io/uring_device.h"
#include "machine/cpu_state.h"
#include "machine/description.h"
#include "machine/memory.h"
#include "machine/page_cache.h"

namespace hypura {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

uint64_t soft_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 ? uint64_t{limit.rlim_cur} : UINT64_MAX;
}

#ifdef __APPLE__

uint64_t swap_used_bytes() {
  xsw_usage usage{};
  size_t size = sizeof usage;
  return ::sysctlbyname("vm.swapusage", &usage, &size, nullptr, 0) == 0 ? usage.xsu_used : 0;
}

// That there is none there hinders nobody.
void try_uring(Health&) {}

#else

uint64_t swap_used_bytes() {
  std::ifstream file("/proc/swaps");
  std::string name, kind;
  uint64_t size_kib = 0, used_kib = 0, total = 0;
  int priority = 0;
  std::getline(file, name);  // the headings
  while (file >> name >> kind >> size_kib >> used_kib >> priority) total += used_kib * kKiB;
  return total;
}

void try_uring(Health& health) {
  const Result<std::unique_ptr<BlockDevice>> device = make_uring_device({.depth = 1});
  health.uring = device.ok();
  if (device.ok()) return;
  health.uring_why = device.status().message();
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> health.uring_disabled;
}

#endif

}  // namespace

std::string chosen_word(const std::string& choices) {
  const size_t begin = choices.find('[');
  const size_t end = choices.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return "";
  return choices.substr(begin + 1, end - begin - 1);
}

Health examine(const std::string& path) {
  Health health;
  try_uring(health);
  health.huge_pages = chosen_word(text_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  health.files_max = soft_limit(RLIMIT_NOFILE);
  health.locked_bytes_max = soft_limit(RLIMIT_MEMLOCK);
  health.memory_bytes = describe_machine().memory_bytes;
  health.limit_bytes = limit_bytes();
  health.available_bytes = available_bytes();
  health.swap_used_bytes = swap_used_bytes();
  health.governor = frequency_governor();
  health.governor_driver = frequency_driver();
  health.cores = usable_cores();
  health.volume = volume_of(path);
  health.in_memory = lies_in_memory(path);
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    const Result<OpenFile> file = open_file(path, true);
    if (file.ok()) health.direct = file->direct;
  }
  return health;
}

}  // namespace hypura
