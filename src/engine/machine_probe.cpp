#include "engine/machine_probe.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/compute_probe.h"
#include "backend/gpu/probe.h"
#include "base/clock.h"
#include "base/units.h"
#include "common.h"
#include "io/block_device.h"
#include "machine/cpu_state.h"
#include "machine/description.h"
#include "machine/drive_meter.h"
#include "machine/drive_survey.h"
#include "machine/memory.h"
#include "machine/memory_bandwidth.h"
#include "machine/page_cache.h"
#include "machine/profile_file.h"
#include "machine/profile_warnings.h"
#include "machine/repeated.h"
#include "machine/scratch_file.h"
#include "residency/arena.h"

namespace hypura {
namespace {

constexpr uint64_t kMemoryMin = 4 * kMiB;      // a buffer for the temporary file
constexpr uint64_t kProbeBytes = 256 * kMiB;   // several times the processor's caches
constexpr uint64_t kQuickBytes = 64 * kMiB;
constexpr uint64_t kWeightBytes = 128 * kMiB;
constexpr uint64_t kTouchBytes = 512 * kMiB;   // more than the probes before it gave back
constexpr double kComputeSeconds = 6;

// Of all seconds, roughly.
constexpr double kMemoryShare = 0.05;
constexpr double kDriveShare = 0.50;

// 1, 2, 4 .. all cores and what llama.cpp takes by itself (of hybrid processors the fast cores),
// the last ones first: they matter most.
std::vector<int> thread_counts(int cores) {
  std::vector<int> counts = {cores, std::clamp<int>(common_cpu_get_num_math(), 1, cores)};
  for (int threads = 1; threads < cores; threads *= 2) counts.push_back(threads);
  std::sort(counts.begin(), counts.end(), std::greater<>());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

// Processor time of this thread.
double thread_seconds() {
  timespec time{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class Probe {
 public:
  Probe(const MachineProbeOptions& options, bool quick) : options_(options), quick_(quick) {}

  Result<MachineProfile> run() {
    const uint64_t throttled_before = throttle_events();
    doubts_.quick = quick_;
    doubts_.load = describe_machine().load;
    start_profile();
    if (Status status = get_memory(); !status.ok()) return status;
    if (Status status = measure_memory(); !status.ok()) return status;
    if (Status status = measure_drive(); !status.ok()) return status;
    arena_ = Arena();  // the processor's part has memory of its own
    if (Status status = measure_compute(); !status.ok()) return status;
    profile_.gpus = probe_gpus(options_.stop);
    if (!quick_) measure_touch();
    doubts_.throttle_events = throttle_events() - throttled_before;
    profile_.warnings = warnings_of(doubts_);
    tell("done", 1);
    return std::move(profile_);
  }

 private:
  void start_profile() {
    profile_ = machine_facts(options_.file.empty() ? options_.folder : options_.file);
    profile_.source = "measured";
    profile_.date = iso_date(std::time(nullptr));
    profile_.simd = cpu_features();
    doubts_.cores = profile_.cores;
  }

  Status get_memory() {
    const uint64_t wanted = quick_ ? kQuickBytes : kProbeBytes;
    const uint64_t bytes = std::max(std::min(wanted, available_bytes() / 8), kMemoryMin);
    Result<Arena> arena = Arena::create(bytes);
    if (!arena.ok()) return arena.status();
    arena_ = *std::move(arena);
    return Status();
  }

  // At the end: what another program gave back a moment ago is at hand, what was free for seconds
  // the host of a virtual machine may have taken (12 and 0.3 GB/s on one).
  void measure_touch() {
    const uint64_t bytes = std::min(kTouchBytes, available_bytes() / 8);
    const double start = now_seconds();
    const Result<Arena> arena = Arena::create(bytes);
    const double seconds = now_seconds() - start;
    if (!arena.ok() || bytes == 0) return;
    profile_.memory.touch_gbps = rounded(static_cast<double>(bytes) * 1e-9 / seconds);
  }

  Status measure_memory() {
    tell("memory", 0);
    const Repeated gbps =
        memory_read_gbps(arena_.memory(), profile_.cores, quick_ ? 0.1 : 0.6, options_.stop);
    if (gbps.empty()) return Status(StatusCode::interrupted, "interrupted while measuring memory");
    profile_.memory.read_gbps = rounded(gbps.fast());
    doubts_.memory_spread = gbps.spread();
    return Status();
  }

  Status measure_drive() {
    if (!options_.file.empty()) return survey(options_.file);
    if (quick_) return Status();
    tell("writing a temporary file", kMemoryShare);
    doubts_.temporary = true;
    const Result<ScratchFile> scratch = ScratchFile::create(
        {.folder = options_.folder, .stop = options_.stop}, arena_.memory());
    return scratch.ok() ? survey(scratch->path()) : scratch.status();
  }

  Status survey(const std::string& path) {
    const std::unique_ptr<BlockDevice> device = make_block_device({});
    const Result<FileId> file = device->open(path);
    if (!file.ok()) return file.status();
    doubts_.in_memory = lies_in_memory(path);
    doubts_.file_bytes = device->file_bytes(*file);
    const Result<DriveFindings> findings =
        survey_drive(*device, *file, arena_.memory(),
                     {.path = path, .quick = quick_, .stop = options_.stop,
                      .progress = [this](double share) {
                        tell("drive", kMemoryShare + share * (kDriveShare - kMemoryShare));
                      }});
    if (!findings.ok()) return findings.status();
    const DriveProfile facts = std::exchange(profile_.drive, findings->drive);
    profile_.drive.device = facts.device;
    profile_.drive.filesystem = facts.filesystem;
    doubts_.direct = findings->drive.direct;
    doubts_.drive_spread = findings->drive.spread;
    doubts_.drive_slowdown = findings->slowdown;
    if (!quick_) measure_beside(*device, *file);
    return Status();
  }

  void measure_read_cost(DriveMeter& meter, const ReadWay& way) {
    const double before = thread_seconds();
    const Result<MeteredReads> reads = meter.measure(way, 0.3, options_.stop);
    if (!reads.ok() || reads->latencies_us.empty()) return;
    const auto count = static_cast<double>(reads->latencies_us.size());
    profile_.drive.read_cpu_us = rounded((thread_seconds() - before) * 1e6 / count);
  }

  // Kernels alone and beside reads, in turn; what cannot be measured is left out.
  void measure_beside(BlockDevice& device, FileId file) {
    constexpr int kRounds = 4;
    constexpr double kSeconds = 0.15;
    constexpr double kSecondsMax = 10;
    const ReadWay way{
        .read_bytes = 1 << 20, .depth = std::min(8u, device.depth()), .sequential = true};
    const std::unique_ptr<TokenProbe> probe =
        TokenProbe::create("q4_K", profile_.cores, std::min(kWeightBytes, available_bytes() / 8));
    DriveMeter meter(device, file, arena_.memory());
    if (probe == nullptr || !meter.can(way)) return;
    measure_read_cost(meter, way);
    Repeated alone, beside;
    for (int round = 0; round < kRounds; ++round) {
      alone.add(probe->measure(kSeconds, options_.stop));
      std::atomic<bool> stop = false;
      Status status;
      std::thread reads([&] { status = meter.measure(way, kSecondsMax, &stop).status(); });
      beside.add(probe->measure(kSeconds, options_.stop));
      stop = true;
      reads.join();
      if (status.code() != StatusCode::interrupted) return;  // the reads ended first
    }
    if (alone.median() <= 0) return;
    profile_.drive.beside_share = rounded(std::min(1.0, beside.median() / alone.median()));
  }

  Status measure_compute() {
    const std::vector<int> threads =
        quick_ ? std::vector<int>{profile_.cores} : thread_counts(profile_.cores);
    const uint64_t weight_bytes = quick_ ? kQuickBytes : kWeightBytes;
    const Result<ComputeFindings> findings =
        probe_compute({.types = quick_ ? std::vector<std::string>{options_.type} : probed_types(),
                       .threads = threads,
                       .weight_bytes = std::min(weight_bytes, available_bytes() / 8),
                       .seconds = quick_ ? 0.3 : kComputeSeconds,
                       .stop = options_.stop,
                       .progress = [this](double share) {
                         tell("processor", kDriveShare + share * (1 - kDriveShare));
                       }});
    if (!findings.ok()) return findings.status();
    profile_.compute = findings->samples;
    profile_.graph_overhead_us = findings->graph_overhead_us;
    profile_.nodes = findings->nodes;
    doubts_.compute_spread = findings->spread;
    doubts_.compute_slowdown = findings->slowdown;
    return Status();
  }

  void tell(const char* what, double share) const {
    if (options_.progress) options_.progress(what, share);
  }

  const MachineProbeOptions& options_;
  const bool quick_;
  MachineProfile profile_;
  Doubts doubts_;
  Arena arena_;
};

}  // namespace

KeptProfile load_kept_profile(const MachineProbeOptions& options) {
  if (options.profiles_folder.empty()) return {};
  MachineProfile facts = machine_facts(options.file.empty() ? options.folder : options.file);
  KeptProfile kept{.path = profile_path(options.profiles_folder, facts)};
  std::error_code error;
  if (options.anew || !std::filesystem::exists(kept.path, error)) return kept;
  Result<MachineProfile> profile = read_profile(kept.path);
  if (!profile.ok()) {
    kept.why_not = profile.status().message() + ": " + profile.status().why();
    return kept;
  }
  for (std::string& name : gpu_names()) facts.gpus.push_back({.name = std::move(name)});
  kept.why_not = why_stale(*profile, facts, std::time(nullptr));
  if (!kept.why_not.empty()) return kept;
  profile->memory.limit_bytes = facts.memory.limit_bytes;
  kept.profile = *std::move(profile);
  return kept;
}

Result<MachineProfile> measure_machine(const MachineProbeOptions& options) {
  return Probe(options, false).run();
}

Result<ProbedMachine> load_or_measure(const MachineProbeOptions& options) {
  KeptProfile kept = load_kept_profile(options);
  ProbedMachine machine{.path = kept.path};
  if (kept.profile) {
    machine.profile = *std::move(kept.profile);
    return machine;
  }
  Result<MachineProfile> measured = measure_machine(options);
  if (!measured.ok()) return measured.status();
  machine.profile = *std::move(measured);
  machine.measured = true;
  if (!kept.why_not.empty()) machine.note = "measured anew: " + kept.why_not;
  if (machine.path.empty()) return machine;
  if (const Status status = write_profile(machine.path, machine.profile); !status.ok()) {
    machine.note = status.message() + ": " + status.why();
    machine.path.clear();
  }
  return machine;
}

Result<MachineProfile> quick_profile(const MachineProbeOptions& options) {
  KeptProfile kept = load_kept_profile(options);
  if (kept.profile) return *std::move(kept.profile);
  return Probe(options, true).run();
}

}  // namespace hypura
