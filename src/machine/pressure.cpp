#include "machine/pressure.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "machine/memory.h"

namespace hypura {
namespace {

// The number that follows `key` and blanks; nullopt without the key or a number ("max").
std::optional<uint64_t> number_after(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + key.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

uint64_t major_faults() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<uint64_t>(usage.ru_majflt);
}

#ifdef __APPLE__

// Whether the kernel asks programs for memory: 1 is normal, 2 a warning, 4 critical.
bool is_memory_short() {
  int level = 1;
  size_t size = sizeof level;
  return ::sysctlbyname("kern.memorystatus_vm_pressure_level", &level, &size, nullptr, 0) == 0 &&
         level > 1;
}

#endif

}  // namespace

// A file that says something new each time it is read from its beginning.
class PressureGauge::File {
 public:
  static std::unique_ptr<File> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? nullptr : std::unique_ptr<File>(new File(fd));
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  // Empty if it can no longer be read, as of a group that is gone. Valid until the next text().
  std::string_view text() {
    const ssize_t bytes = ::pread(fd_, buffer_.data(), buffer_.size(), 0);
    return {buffer_.data(), bytes < 0 ? 0 : static_cast<size_t>(bytes)};
  }

 private:
  explicit File(int fd) : fd_(fd) {}

  int fd_;
  std::array<char, 8 * kKiB> buffer_;  // memory.stat has 2 to 5 KiB
};

PressureGauge::PressureGauge(const std::string& root)
    : system_(File::open(root + "/proc/meminfo")), process_(File::open(root + "/proc/self/statm")) {
  pressures_.push_back(File::open(root + "/proc/pressure/memory"));
  for (const OwnGroup& group : own_groups("memory", root)) {
    if (!group.version1 && !group.parent) {
      pressures_.push_back(File::open(group.folder + "memory.pressure"));
    }
    add_level(group);
  }
  std::erase(pressures_, nullptr);
  looked_stalled_us_ = stalled_us();
  looked_major_faults_ = major_faults();
}

PressureGauge::~PressureGauge() = default;

void PressureGauge::add_level(const OwnGroup& group) {
  const bool version1 = group.version1;
  const auto open = [&](const char* file) { return File::open(group.folder + file); };
  Level level{.limit = open(version1 ? "memory.limit_in_bytes" : "memory.max"),
              .usage = open(version1 ? "memory.usage_in_bytes" : "memory.current"),
              .statistics = open("memory.stat"),
              .droppable_key = version1 ? "total_inactive_file" : "\ninactive_file"};
  if (level.limit != nullptr && level.usage != nullptr) levels_.push_back(std::move(level));
}

MemoryFacts PressureGauge::look() {
  MemoryFacts facts;
  facts.seconds = now_seconds();
#ifdef __APPLE__
  facts.available_bytes = hypura::available_bytes();
  facts.resident_bytes = hypura::resident_bytes();
#else
  facts.available_bytes = available_bytes();
  // "SIZE RESIDENT SHARED ...", in pages.
  const std::string_view pages = process_ == nullptr ? "" : process_->text();
  facts.resident_bytes = number_after(pages, " ").value_or(0) *
                         static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));
#endif
  const uint64_t stalled = stalled_us();
  const uint64_t faults = major_faults();
  if (looked_seconds_ && facts.seconds > *looked_seconds_) {
    const double passed_us = (facts.seconds - *looked_seconds_) * 1e6;
    const uint64_t more_us = saturating_subtract(stalled, looked_stalled_us_);
    facts.stalled_share = std::min(1.0, static_cast<double>(more_us) / passed_us);
    facts.major_faults = faults - looked_major_faults_;
  }
#ifdef __APPLE__
  // How long somebody waited is not told.
  facts.stalled_share = is_memory_short() ? 1 : 0;
#endif
  looked_seconds_ = facts.seconds;
  looked_stalled_us_ = stalled;
  looked_major_faults_ = faults;
  return facts;
}

uint64_t PressureGauge::available_bytes() const {
  if (system_ == nullptr) return 0;
  uint64_t available = number_after(system_->text(), "MemAvailable:").value_or(0) * kKiB;
  for (const Level& level : levels_) {
    const std::optional<uint64_t> limit = number_after(level.limit->text(), "");
    const std::optional<uint64_t> usage = number_after(level.usage->text(), "");
    // Its statistics cost as much as all the rest, and cannot help a group without a limit.
    if (!limit || !usage || *limit >= available + *usage) continue;
    const uint64_t droppable =
        level.statistics == nullptr
            ? 0
            : number_after(level.statistics->text(), level.droppable_key).value_or(0);
    const uint64_t used = *usage - std::min(*usage, droppable);
    available = std::min(available, *limit - std::min(*limit, used));
  }
  return available;
}

uint64_t PressureGauge::stalled_us() const {
  uint64_t most = 0;
  for (const auto& pressure : pressures_) {
    // "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", then "full ...".
    most = std::max(most, number_after(pressure->text(), "total=").value_or(0));
  }
  return most;
}

}  // namespace hypura
