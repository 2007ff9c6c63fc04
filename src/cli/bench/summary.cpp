#include <algorithm>

#include "cli/bench/options.h"
#include "cli/bench/report.h"

namespace hypura::cli {
namespace {

bool succeeded(const BenchSample& sample) { return sample.decode_tps > 0; }

// The median of a figure over the samples that succeeded; `figure` gives nullopt where there is
// none.
template <class Figure>
std::optional<MedianInterval> median_of(const BenchArm& arm, const Figure& figure) {
  std::vector<double> values;
  for (const BenchSample& sample : arm.samples) {
    if (!succeeded(sample)) continue;
    if (const std::optional<double> value = figure(sample)) values.push_back(*value);
  }
  return median_interval(std::move(values));
}

bool streams(const BenchSample& sample) {
  return !sample.mode.empty() && sample.mode != kResidentArm;
}

ArmSummary summarise_arm(const BenchArm& arm) {
  using Sample = const BenchSample&;
  using Figure = std::optional<double>;
  ArmSummary summary{.arm = &arm};
  for (const BenchSample& sample : arm.samples) {
    if (!succeeded(sample) && summary.failures++ == 0) summary.first_failure = sample.failure;
    summary.timeouts += sample.timed_out ? 1 : 0;
    summary.tokens = std::max(summary.tokens, sample.tokens);
    summary.peak_resident_bytes = std::max(summary.peak_resident_bytes, sample.peak_resident_bytes);
    summary.group_peak_bytes =
        std::max(summary.group_peak_bytes, sample.group_peak_bytes.value_or(0));
  }
  const auto if_it_streams = [](Sample s, double value) {
    return streams(s) ? Figure(value) : std::nullopt;
  };
  summary.decode_tps = median_of(arm, [](Sample s) { return Figure(s.decode_tps); });
  summary.prefill_tps = median_of(
      arm, [](Sample s) { return s.prefill_tps > 0 ? Figure(s.prefill_tps) : std::nullopt; });
  summary.ttft_seconds = median_of(
      arm, [](Sample s) { return s.ttft_seconds > 0 ? Figure(s.ttft_seconds) : std::nullopt; });
  summary.token_bytes = median_of(arm, [&](Sample s) { return if_it_streams(s, s.token_bytes); });
  summary.token_stall_seconds =
      median_of(arm, [&](Sample s) { return if_it_streams(s, s.token_stall_seconds); });
  summary.expert_hit_rate = median_of(arm, [](Sample s) { return s.expert_hit_rate; });
  return summary;
}

struct ComputeTime {
  double seconds = 0;
  std::string from;
};

// Of a token, in seconds: the token time of an arm that holds the model; else what hypura did not
// wait.
ComputeTime compute_time(const BenchReport& report, const BenchArm& hypura) {
  for (const BenchArm& arm : report.arms) {
    if (!arm.in_memory) continue;
    const auto seconds =
        median_of(arm, [](const BenchSample& s) { return std::optional(1 / s.decode_tps); });
    if (seconds) return {.seconds = seconds->median, .from = arm.name};
  }
  const auto seconds = median_of(hypura, [](const BenchSample& s) {
    return std::optional(std::max(0.0, 1 / s.decode_tps - s.token_stall_seconds));
  });
  return {.seconds = seconds ? seconds->median : 0, .from = hypura.name};
}

// Each sample against the bound with its own drive measurements: a drive's speed may drift.
std::optional<BoundSummary> summarise_bound(const BenchReport& report, const BenchArm& arm) {
  const ComputeTime compute = compute_time(report, arm);
  const auto usable = [](const BenchSample& sample) {
    return streams(sample) && sample.drive_gbps > 0 && sample.budget_bytes > 0;
  };
  const auto memory_of = [](const BenchSample& sample) {
    return sample.budget_bytes - std::min(sample.budget_bytes, sample.fixed_bytes);
  };
  const auto drive = median_of(arm, [&](const BenchSample& sample) {
    return usable(sample) ? std::optional(sample.drive_gbps) : std::nullopt;
  });
  const auto memory = median_of(arm, [&](const BenchSample& sample) {
    return usable(sample) ? std::optional(static_cast<double>(memory_of(sample))) : std::nullopt;
  });
  const auto of_the_bound = median_of(arm, [&](const BenchSample& sample) -> std::optional<double> {
    if (!usable(sample)) return std::nullopt;
    const Bound bound = bound_of({.bytes = report.token_bytes,
                                  .memory_bytes = memory_of(sample),
                                  .drive_gbps = sample.drive_gbps,
                                  .compute_seconds = compute.seconds});
    if (bound.seconds <= 0) return std::nullopt;
    return 1 / sample.decode_tps / bound.seconds;
  });
  if (!of_the_bound) return std::nullopt;
  return BoundSummary{.bound = bound_of({.bytes = report.token_bytes,
                                         .memory_bytes = static_cast<uint64_t>(memory->median),
                                         .drive_gbps = drive->median,
                                         .compute_seconds = compute.seconds}),
                      .memory_bytes = memory->median,
                      .drive_gbps = drive->median,
                      .compute_seconds = compute.seconds,
                      .compute_from = compute.from,
                      .of_the_bound = *of_the_bound};
}

std::vector<double> decode_rates(const BenchArm& arm) {
  std::vector<double> rates;
  for (const BenchSample& sample : arm.samples) rates.push_back(sample.decode_tps);
  return rates;
}

}  // namespace

BenchSummary summarise(const BenchReport& report) {
  BenchSummary summary;
  summary.drive_gbps = median_interval(report.drive_gbps);
  for (const BenchArm& arm : report.arms) {
    summary.arms.push_back(summarise_arm(arm));
    if (arm.name == kHypuraArm) summary.arms.back().bound = summarise_bound(report, arm);
  }
  const auto hypura = std::find_if(report.arms.begin(), report.arms.end(),
                                   [](const BenchArm& arm) { return arm.name == kHypuraArm; });
  if (hypura == report.arms.end()) return summary;
  for (const BenchArm& arm : report.arms) {
    if (arm.name == kHypuraArm) continue;
    const auto ratio = median_interval(pair_ratios(decode_rates(*hypura), decode_rates(arm)));
    if (ratio) summary.ratios.push_back({.to = arm.name, .ratio = *ratio});
  }
  return summary;
}

}  // namespace hypura::cli
