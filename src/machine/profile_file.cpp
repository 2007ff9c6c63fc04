#include "machine/profile_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/replace_file.h"
#include "base/units.h"
#include "machine/cores.h"
#include "machine/description.h"
#include "machine/memory.h"
#include "machine/profile_json.h"
#include "machine/volume.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

std::string as_file_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
    name += plain ? c : '_';
  }
  return name.empty() ? "unknown" : name.substr(0, 64);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::optional<int64_t> seconds_of(const std::string& date) {
  std::tm time{};
  const int fields = std::sscanf(date.c_str(), "%4d-%2d-%2dT%2d:%2d:%2dZ", &time.tm_year,
                                 &time.tm_mon, &time.tm_mday, &time.tm_hour, &time.tm_min,
                                 &time.tm_sec);
  if (fields != 3 && fields != 6) return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return ::timegm(&time);
}

bool differ(const std::string& kept, const std::string& now) {
  return !kept.empty() && kept != now;
}
bool differ(int kept, int now) { return kept != 0 && kept != now; }

// A kernel keeps a little more or less to itself after an update.
bool differ_in_memory(uint64_t kept, uint64_t now) {
  return kept != 0 && (kept > now + now / 50 || kept < now - now / 50);
}

std::string names_of(const std::vector<GpuProfile>& gpus) {
  std::string names;
  for (const GpuProfile& gpu : gpus) names += (names.empty() ? "" : ", ") + gpu.name;
  return names.empty() ? "none" : names;
}

std::string was(const char* what, const std::string& kept, const std::string& now) {
  return fmt::format("{} was {} and is {}", what, kept, now.empty() ? "not known" : now);
}

}  // namespace

MachineProfile machine_facts(const std::string& path) {
  const MachineDescription machine = describe_machine();
  const Cores cores = usable_cores();
  const Volume volume = volume_of(path);
  MachineProfile facts;
  facts.cpu = machine.cpu;
  facts.system = machine.system;
  facts.cores = cores.physical;
  facts.logical_cores = cores.logical;
  facts.memory.total_bytes = machine.memory_bytes;
  facts.memory.limit_bytes = limit_bytes();
  facts.drive.device = volume.device;
  facts.drive.filesystem = volume.filesystem;
  return facts;
}

std::string profile_path(const std::string& folder, const MachineProfile& facts) {
  return fmt::format("{}/{}-{}-{}.json", folder, as_file_name(host_name()),
                     as_file_name(facts.drive.device), as_file_name(facts.drive.filesystem));
}

Result<MachineProfile> read_profile(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return Status(StatusCode::failed, fmt::format("cannot read the profile {}", path)).because(why);
  };
  std::error_code error;
  // A FIFO would be waited for.
  if (!fs::is_regular_file(path, error)) {
    return refuse(error ? error.message() : "it is no regular file");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return refuse(std::strerror(errno));
  std::string text(kProfileBytesMax + 1, '\0');
  file.read(text.data(), std::ssize(text));
  if (file.bad()) return refuse(std::strerror(errno));
  text.resize(static_cast<size_t>(file.gcount()));
  Result<MachineProfile> profile = parse_profile(text);
  if (profile.ok()) return profile;
  const Status& status = profile.status();
  return Status(StatusCode::failed, fmt::format("{}: {}", path, status.message()))
      .because(status.why())
      .suggest(fmt::format("correct it, or remove it: rm '{}'", path));
}

Status write_profile(const std::string& path, const MachineProfile& profile) {
  const std::error_code error = replace_file(path, profile_json(profile));
  if (!error) return Status();
  return Status(StatusCode::failed, fmt::format("cannot keep the profile in {}", path))
      .because(error.message());
}

std::string why_stale(const MachineProfile& kept, const MachineProfile& now, int64_t now_seconds) {
  constexpr int64_t kDay = 24 * 60 * 60;
  const std::optional<int64_t> date = seconds_of(kept.date);
  if (!date) return "it has no date";
  if (*date > now_seconds + kDay) return fmt::format("its date is in the future: {}", kept.date);
  if (const int64_t days = (now_seconds - *date) / kDay; days > kProfileDaysMax) {
    return fmt::format("it is {} days old", days);
  }
  const bool busy = std::any_of(kept.warnings.begin(), kept.warnings.end(),
                                [](const std::string& text) { return text.starts_with("busy:"); });
  if (busy && now_seconds - *date > kDay) return "it was measured while other programs computed";
  if (differ(kept.cpu, now.cpu)) return was("the CPU", kept.cpu, now.cpu);
  if (differ(kept.system, now.system)) return was("the system", kept.system, now.system);
  if (differ(kept.cores, now.cores)) {
    return fmt::format("{} cores could be used and now {}", kept.cores, now.cores);
  }
  if (differ(kept.logical_cores, now.logical_cores)) {
    return fmt::format("{} logical cores could be used and now {}", kept.logical_cores,
                       now.logical_cores);
  }
  if (differ_in_memory(kept.memory.total_bytes, now.memory.total_bytes)) {
    return was("memory", format_bytes(kept.memory.total_bytes),
               format_bytes(now.memory.total_bytes));
  }
  if (differ(kept.drive.device, now.drive.device)) {
    return was("the drive", kept.drive.device, now.drive.device);
  }
  if (differ(kept.drive.filesystem, now.drive.filesystem)) {
    return was("the file system", kept.drive.filesystem, now.drive.filesystem);
  }
  // Also between builds for the CPU and for a GPU.
  if (names_of(kept.gpus) != names_of(now.gpus)) {
    return was("the GPU", names_of(kept.gpus), names_of(now.gpus));
  }
  return "";
}

std::string iso_date(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace hypura
