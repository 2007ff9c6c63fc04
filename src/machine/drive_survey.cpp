#include "machine/drive_survey.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "machine/drive_meter.h"
#include "machine/page_cache.h"
#include "machine/page_cache_speed.h"
#include "machine/repeated.h"

namespace hypura {
namespace {

// Streaming reads 1 MiB and more at a time; what is smaller is measured for the curve.
constexpr uint32_t kStreamReadBytes = 1 << 20;
constexpr double kNearBest = 0.95;

// 40 ways x 4 rounds x 25 ms, then 1.5 s at the knee.
constexpr int kRounds = 4;
constexpr int kQuickRounds = 3;
constexpr double kRoundSeconds = 0.025;
constexpr double kRoundsSecondsMax = 5;  // a slow drive gets fewer rounds
constexpr int kSustainedRounds = 12;
constexpr double kSustainedSeconds = 0.125;
// A way whose queue holds more than the drive delivers in this time says nothing new about it.
constexpr double kQueueSecondsMax = 0.1;
constexpr double kQueueBytesMin = 32 << 20;  // the pilot may have been disturbed

std::vector<ReadWay> all_ways(bool quick) {
  const std::vector<uint32_t> sizes =
      quick ? std::vector<uint32_t>{1 << 20}
            : std::vector<uint32_t>{64 << 10, 256 << 10, 1 << 20, 4 << 20};
  const std::vector<uint32_t> depths =
      quick ? std::vector<uint32_t>{1, 8, 16} : std::vector<uint32_t>{1, 4, 8, 16, 32};
  std::vector<ReadWay> ways;
  for (const uint32_t read_bytes : sizes) {
    for (const uint32_t depth : depths) {
      for (const bool sequential : {true, false}) {
        ways.push_back({.read_bytes = read_bytes, .depth = depth, .sequential = sequential});
      }
    }
  }
  return ways;
}

struct WayRates {
  ReadWay way;
  Repeated gbps;
  Repeated latency_us;
};

class Survey {
 public:
  Survey(BlockDevice& device, FileId file, std::span<std::byte> memory,
         const DriveSurveyOptions& options)
      : meter_(device, file, memory), options_(options), direct_(device.is_direct(file)) {}

  Result<DriveFindings> run() {
    findings_.drive.direct = direct_;
    if (Status status = choose_ways(); !status.ok()) return status;
    if (Status status = measure_ways(); !status.ok()) return status;
    find_knee(findings_.drive);
    if (Status status = sustain(); !status.ok()) return status;
    if (!options_.quick) measure_page_cache();
    tell(1);
    return findings_;
  }

 private:
  Result<MeteredReads> measure(const ReadWay& way, double seconds) {
    // Without direct reads the page cache would answer what was read before.
    if (!direct_) drop_file_cache(options_.path);
    return meter_.measure(way, seconds, options_.stop);
  }

  Status choose_ways() {
    constexpr ReadWay kPilot{.read_bytes = 64 << 10, .depth = 1, .sequential = true};
    if (!meter_.can(kPilot)) {
      return Status(StatusCode::failed, options_.path + " is too small to measure its drive")
          .suggest("a file of 64 KiB or more, or none: a temporary one is made then");
    }
    const Result<MeteredReads> pilot = measure(kPilot, 0.02);
    if (!pilot.ok()) return pilot.status();
    // Many reads in flight were up to ten times as fast as one.
    const double bytes_max = std::max(10 * pilot->gbps() * 1e9 * kQueueSecondsMax, kQueueBytesMin);
    for (const ReadWay& way : all_ways(options_.quick)) {
      const bool slow = static_cast<double>(way.read_bytes) * way.depth > bytes_max;
      if (meter_.can(way) && (!slow || way.depth == 1)) ways_.push_back({.way = way});
    }
    if (ways_.empty()) ways_.push_back({.way = kPilot});
    return Status();
  }

  Status measure_ways() {
    const int rounds = options_.quick ? kQuickRounds : kRounds;
    const uint64_t begin_ns = now_ns();
    for (int round = 0; round < rounds; ++round) {
      const uint64_t took_ns = now_ns() - begin_ns;
      if (static_cast<double>(took_ns) > kRoundsSecondsMax * 1e9) break;
      for (size_t i = 0; i < ways_.size(); ++i) {
        tell((round + static_cast<double>(i) / static_cast<double>(ways_.size())) / rounds * 0.7);
        Result<MeteredReads> metered = measure(ways_[i].way, kRoundSeconds);
        if (!metered.ok()) return metered.status();
        ways_[i].gbps.add(metered->gbps());
        for (const double latency_us : metered->latencies_us) {
          ways_[i].latency_us.add(latency_us);
        }
      }
    }
    for (const WayRates& rates : ways_) {
      findings_.drive.samples.push_back({.read_bytes = rates.way.read_bytes,
                                         .depth = rates.way.depth,
                                         .sequential = rates.way.sequential,
                                         .gbps = rounded(rates.gbps.median()),
                                         .spread = rounded(rates.gbps.spread()),
                                         .latency_us = rounded(rates.latency_us.median())});
    }
    return Status();
  }

  // The best way for longer: the rate that streaming will see, and whether it lasts.
  Status sustain() {
    DriveProfile& drive = findings_.drive;
    ReadWay way{.read_bytes = 0, .depth = drive.knee_depth, .sequential = true};
    double best = 0;
    for (const DriveSample& sample : drive.samples) {
      if (!sample.sequential || sample.depth != way.depth || sample.gbps <= best) continue;
      best = sample.gbps;
      way.read_bytes = sample.read_bytes;
    }
    if (way.read_bytes == 0) return Status();
    Repeated gbps;
    const int rounds = options_.quick ? kQuickRounds : kSustainedRounds;
    for (int round = 0; round < rounds; ++round) {
      tell(0.7 + 0.2 * round / rounds);
      const Result<MeteredReads> metered = measure(way, kSustainedSeconds);
      if (!metered.ok()) return metered.status();
      gbps.add(metered->gbps());
    }
    drive.sequential_gbps = rounded(gbps.median());
    drive.spread = rounded(gbps.spread());
    findings_.slowdown = gbps.slowdown();
    return Status();
  }

  void measure_page_cache() {
    tell(0.9);
    findings_.drive.cached_gbps = rounded(cached_read_gbps(options_.path, options_.stop));
    tell(0.95);
    findings_.drive.paged_gbps = rounded(paged_read_gbps(options_.path, options_.stop));
  }

  void tell(double share) const {
    if (options_.progress) options_.progress(share);
  }

  DriveMeter meter_;
  const DriveSurveyOptions& options_;
  bool direct_;
  std::vector<WayRates> ways_;
  DriveFindings findings_;
};

}  // namespace

Result<DriveFindings> survey_drive(BlockDevice& device, FileId file, std::span<std::byte> memory,
                                   const DriveSurveyOptions& options) {
  return Survey(device, file, memory, options).run();
}

void find_knee(DriveProfile& drive) {
  uint32_t least_bytes = kStreamReadBytes;
  const bool has_large = std::any_of(drive.samples.begin(), drive.samples.end(), [](auto& sample) {
    return sample.sequential && sample.read_bytes >= kStreamReadBytes;
  });
  if (!has_large) least_bytes = 0;
  std::map<uint32_t, double> best_of_depth;
  double best = 0;
  for (const DriveSample& sample : drive.samples) {
    if (!sample.sequential || sample.read_bytes < least_bytes) continue;
    double& rate = best_of_depth[sample.depth];
    rate = std::max(rate, sample.gbps);
    best = std::max(best, sample.gbps);
  }
  const auto knee =
      std::find_if(best_of_depth.begin(), best_of_depth.end(),
                   [&](const auto& entry) { return entry.second >= kNearBest * best; });
  if (knee == best_of_depth.end()) return;
  drive.knee_depth = knee->first;
  drive.sequential_gbps = knee->second;
  for (const DriveSample& sample : drive.samples) {
    const bool fits = !sample.sequential && sample.depth == drive.knee_depth &&
                      sample.read_bytes == kStreamReadBytes;
    if (fits) drive.scattered_gbps = sample.gbps;
  }
}

}  // namespace hypura
