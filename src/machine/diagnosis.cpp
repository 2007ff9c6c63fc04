#include "machine/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/units.h"

namespace hypura {
namespace {

using Found = std::optional<Finding>;

Finding advice(const char* topic, std::string what, std::string fix) {
  return {.severity = Severity::advice, .topic = topic, .what = std::move(what),
          .fix = std::move(fix)};
}

Finding broken(const char* topic, std::string what, std::string fix) {
  return {.severity = Severity::broken, .topic = topic, .what = std::move(what),
          .fix = std::move(fix)};
}

// Kernels before 5.12 count an io_uring against the memory that may be locked.
constexpr uint64_t kLockedBytesMin = 8 * kMiB;

Found check_uring(const Health& health) {
  if (health.uring) return std::nullopt;
  std::string fix = "allow the io_uring system calls (in a container: its seccomp profile)";
  if (health.uring_disabled > 0) fix = "sysctl kernel.io_uring_disabled=0";
  if (health.uring_disabled == 0 && health.locked_bytes_max < kLockedBytesMin) {
    fix = "ulimit -l 65536";
  }
  return advice("io_uring",
                fmt::format("{}; a pool of threads reads instead, for more processor time",
                            health.uring_why),
                fix);
}

Found check_direct(const Health& health) {
  if (health.in_memory || health.direct.value_or(true)) return std::nullopt;
  return advice("direct reads",
                fmt::format("{} refuses them: reads go through the page cache, which takes memory "
                            "from the model and time to copy",
                            health.volume.filesystem),
                "keep models on ext4, xfs or btrfs of a local drive");
}

Found check_place(const Health& health) {
  const std::string& filesystem = health.volume.filesystem;
  if (health.in_memory) {
    return advice("place", filesystem + " keeps the model in RAM: streaming it saves nothing",
                  "move the model to a drive");
  }
  if (is_network(filesystem)) {
    return advice("place", fmt::format("the model lies on another machine ({})", filesystem),
                  "copy it to a local drive");
  }
  if (filesystem == "overlay" || filesystem == "aufs") {
    return advice("place", "the model lies in a container's own layers (overlay)",
                  "mount a folder of the host, or a volume, and keep models there");
  }
  if (health.volume.rotational) {
    return advice("place",
                  fmt::format("{} is a disk that turns: scattered reads take 10 ms each",
                              health.volume.device),
                  "move the model to an SSD");
  }
  return std::nullopt;
}

Found check_huge_pages(const Health& health) {
  if (health.huge_pages != "never") return std::nullopt;
  return advice("huge pages", "there are none: direct reads are about half as fast",
                "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

Found check_files(const Health& health) {
  constexpr uint64_t kNeeded = 32;     // a model, a ring, what libraries open
  constexpr uint64_t kAllShards = 256;  // models are split into up to about 200
  const std::string what = fmt::format("only {} files may be open at once", health.files_max);
  if (health.files_max < kNeeded) return broken("open files", what, "ulimit -n 4096");
  if (health.files_max < kAllShards) {
    return advice("open files", what + ": models of many shards will not open", "ulimit -n 4096");
  }
  return std::nullopt;
}

Found check_memory(const Health& health) {
  constexpr uint64_t kBroken = 64 * kMiB;  // the least that the smallest model runs in
  constexpr uint64_t kLittle = kGiB;
  const std::string what = fmt::format("{} are available", format_bytes(health.available_bytes));
  const std::string fix = "end other programs, or raise the limit";
  if (health.available_bytes < kBroken) return broken("memory", "no more than " + what, fix);
  if (health.available_bytes < kLittle) return advice("memory", "only " + what, fix);
  return std::nullopt;
}

Found check_limit(const Health& health) {
  if (health.limit_bytes == 0) return std::nullopt;
  return advice("memory limit",
                fmt::format("a control group or container allows {} of {}",
                            format_bytes(health.limit_bytes), format_bytes(health.memory_bytes)),
                "raise it (docker run --memory, systemd MemoryMax=, memory.max)");
}

Found check_swap(const Health& health) {
  if (health.swap_used_bytes < 256 * kMiB) return std::nullopt;
  return advice("swap",
                fmt::format("{} are swapped out: memory is short, and swapping competes for the "
                            "drive",
                            format_bytes(health.swap_used_bytes)),
                "end other programs, or give a smaller --ram-budget");
}

Found check_governor(const Health& health) {
  // These drivers call their normal way of working "powersave".
  const bool normal = health.governor_driver.starts_with("intel_pstate") ||
                      health.governor_driver.starts_with("amd-pstate") ||
                      health.governor_driver.starts_with("amd_pstate");
  if (health.governor != "powersave" || normal) return std::nullopt;
  return advice("processor", "its clock is held low (governor powersave)",
                "cpupower frequency-set -g schedutil");
}

Found check_cores(const Health& health) {
  const Cores& cores = health.cores;
  if (cores.quota > 0 && cores.quota < cores.logical) {
    return advice("processor",
                  fmt::format("a control group allows {:.1f} of {} cores", cores.quota,
                              cores.logical),
                  fmt::format("-t {}: more threads would wait for each other", cores.physical));
  }
  if (cores.logical > cores.physical) {
    return advice("processor",
                  fmt::format("{} logical cores are {} physical ones", cores.logical,
                              cores.physical),
                  fmt::format("-t {}: more threads gain nothing", cores.physical));
  }
  return std::nullopt;
}

Found check_free(const Health& health) {
  // A model in 4 bits that is worth streaming begins there.
  if (health.volume.device.empty() || health.volume.free_bytes >= 8 * kGiB) return std::nullopt;
  return advice("free space",
                fmt::format("{} are free on {}: no room for another model",
                            format_bytes(health.volume.free_bytes), health.volume.device),
                "delete what is not needed");
}

std::string fix_of(const std::string& warning) {
  if (warning.starts_with("throttled:")) return "better cooling, or wait and profile again";
  if (warning.starts_with("noisy:")) return "profile again when nothing else runs";
  if (warning.starts_with("busy:")) return "end other programs, and profile again";
  return "";  // what it says is said by another check, or is no fault
}

}  // namespace

std::vector<Finding> diagnose(const Health& health,
                              const std::vector<std::string>& profile_warnings) {
  std::vector<Finding> findings;
  for (const auto check :
       {check_memory, check_files, check_limit, check_swap, check_place, check_direct, check_uring,
        check_huge_pages, check_cores, check_governor, check_free}) {
    if (Found found = check(health)) findings.push_back(*std::move(found));
  }
  for (const std::string& warning : profile_warnings) {
    const std::string fix = fix_of(warning);
    if (!fix.empty()) findings.push_back(advice("profile", warning, fix));
  }
  std::stable_partition(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::broken;
  });
  return findings;
}

}  // namespace hypura
