#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/units.h"
#include "cli/bench/output.h"

namespace hypura::cli {
namespace {

std::string bytes_text(double bytes) { return format_bytes(static_cast<uint64_t>(bytes)); }

// "-" where there is no figure.
template <class Format>
std::string cell(const std::optional<MedianInterval>& interval, const Format& format) {
  return interval ? format(interval->median) : "-";
}

std::string conditions_text(const BenchReport& report, const BenchSummary& summary) {
  const MachineDescription& machine = report.machine;
  std::string text = fmt::format(
      "Model {} ({}, {}), {} of weights; budget {}{}; {}; {}; context {}; greedy; {} interleaved "
      "samples an arm, {} before them not recorded.\n",
      std::filesystem::path(report.model_path).filename().string(), report.architecture,
      report.quantization, format_bytes(report.weight_bytes), report.ram_budget,
      report.fast_prompt ? ", --fast-prompt" : "",
      report.limit_bytes == 0 ? "no limit"
                              : fmt::format("limit {}, no swap", format_bytes(report.limit_bytes)),
      report.warm ? "warm" : "cold", report.context, report.samples, report.warmup);
  text += fmt::format("Machine: {}, {} cores, {} RAM, {}. Load before the first sample: {:.1f}.\n",
                      machine.cpu, machine.cores, format_bytes(machine.memory_bytes),
                      machine.system, machine.load);
  if (!report.llama.empty()) text += fmt::format("Options: {}\n", fmt::join(report.llama, " "));
  if (summary.drive_gbps) {
    text += fmt::format("Raw drive: {:.2f} GB/s, {:.2f} to {:.2f} over {} measurements ({}, {}).\n",
                        summary.drive_gbps->median, summary.drive_gbps->low,
                        summary.drive_gbps->high, summary.drive_gbps->samples, report.drive_device,
                        report.drive_direct ? "direct" : "through the page cache");
  }
  return text;
}

std::string peak_text(const ArmSummary& arm) {
  return arm.group_peak_bytes > 0 ? format_bytes(arm.group_peak_bytes) + " in group"
                                  : format_bytes(arm.peak_resident_bytes);
}

std::string samples_text(const ArmSummary& arm) {
  const size_t done = arm.arm->samples.size() - arm.failures;
  std::string text = fmt::format("{} of {} tokens", done, arm.tokens);
  if (arm.failures > 0) text += fmt::format(", {} failed: {}", arm.failures, arm.first_failure);
  if (arm.timeouts > 0) text += fmt::format(", {} cut off", arm.timeouts);
  return text;
}

std::string arm_row(const ArmSummary& arm) {
  if (!arm.decode_tps) {
    const char* none = arm.arm->samples.empty() ? "no samples" : arm.first_failure.c_str();
    return fmt::format("| {} | {} | | | | | | | | |\n", arm.arm->name, none);
  }
  const MedianInterval& decode = *arm.decode_tps;
  return fmt::format(
      "| {} | {:.2f} | {:.2f} to {:.2f} ({:.1f} %) | {} | {} | {} | {} | {} | {} | {} |\n",
      arm.arm->name, decode.median, decode.low, decode.high, 100 * decode.coverage,
      cell(arm.prefill_tps, [](double tps) { return fmt::format("{:.2f}", tps); }),
      cell(arm.token_bytes, bytes_text),
      cell(arm.token_stall_seconds, [](double s) { return fmt::format("{:.0f} ms", 1e3 * s); }),
      cell(arm.expert_hit_rate, [](double rate) { return fmt::format("{:.0f} %", 100 * rate); }),
      arm.bound ? fmt::format("{:.2f}x", arm.bound->of_the_bound.median) : "-", samples_text(arm),
      peak_text(arm));
}

std::string bound_text(const BoundSummary& summary) {
  const Bound& bound = summary.bound;
  return fmt::format(
      "Bound of a token: {:.1f} ms, the larger of {:.1f} ms to read {} at {:.2f} GB/s and {:.1f} "
      "ms "
      "to compute (from {}); reached {:.2f}x, {:.2f} to {:.2f} (efficiency {:.0f} %).\n",
      1e3 * bound.seconds, 1e3 * bound.drive_seconds, bytes_text(bound.missing_bytes),
      summary.drive_gbps, 1e3 * summary.compute_seconds, summary.compute_from,
      summary.of_the_bound.median, summary.of_the_bound.low, summary.of_the_bound.high,
      100 / summary.of_the_bound.median);
}

std::string comparison_text(const BenchComparison& comparison) {
  std::string text =
      "\n| arm | old tok/s | interval | new tok/s | interval | |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const ArmComparison& arm : comparison.arms) {
    text +=
        fmt::format("| {} | {:.2f} | {:.2f} to {:.2f} | {:.2f} | {:.2f} to {:.2f} | {} |\n",
                    arm.arm, arm.old_tps.median, arm.old_tps.low, arm.old_tps.high,
                    arm.new_tps.median, arm.new_tps.low, arm.new_tps.high, to_string(arm.verdict));
  }
  if (!comparison.differences.empty()) {
    text += fmt::format("\nMeasured under other conditions: {}.\n",
                        fmt::join(comparison.differences, "; "));
  }
  return text;
}

// Quoted as CSV wants it.
std::string csv_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

std::string csv_number(const std::optional<MedianInterval>& interval) {
  return interval ? fmt::format("{:.6g}", interval->median) : std::string();
}

}  // namespace

std::string bench_markdown(const BenchFindings& findings) {
  const BenchSummary& summary = findings.summary;
  std::string text = conditions_text(findings.report, summary);
  text +=
      "\n| arm | decode tok/s | interval | prompt tok/s | read a token | waited a token | expert "
      "hits | of the bound | samples | peak memory |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const ArmSummary& arm : summary.arms) text += arm_row(arm);
  text += '\n';
  for (const RatioSummary& ratio : summary.ratios) {
    text += fmt::format(
        "hypura / {}: median **{:.2f}x**, {:.2f} to {:.2f} ({:.1f} % interval of {} "
        "pairs).\n",
        ratio.to, ratio.ratio.median, ratio.ratio.low, ratio.ratio.high, 100 * ratio.ratio.coverage,
        ratio.ratio.samples);
  }
  for (const ArmSummary& arm : summary.arms) {
    if (arm.bound) text += bound_text(*arm.bound);
  }
  text += findings.texts.message + "\n";
  for (const std::string& note : findings.report.notes) text += "Note: " + note + "\n";
  if (findings.report.partial) text += "PARTIAL: interrupted before all samples were taken.\n";
  if (findings.comparison) text += comparison_text(*findings.comparison);
  return text;
}

std::string bench_csv(const BenchFindings& findings) {
  std::string text =
      "arm,samples,failed,decode_tps,decode_tps_low,decode_tps_high,coverage,prefill_tps,"
      "bytes_read_per_token,stall_seconds_per_token,expert_hit_rate,drive_gbps,bound_seconds,"
      "of_the_bound,partial,old_decode_tps,verdict,failure\n";
  for (const ArmSummary& arm : findings.summary.arms) {
    const MedianInterval decode = arm.decode_tps.value_or(MedianInterval{});
    text += fmt::format("{},{},{},{},{:.6g},{:.6g},{:.4f},{},{},{},{},", arm.arm->name,
                        arm.arm->samples.size(), arm.failures, csv_number(arm.decode_tps),
                        decode.low, decode.high, decode.coverage, csv_number(arm.prefill_tps),
                        csv_number(arm.token_bytes), csv_number(arm.token_stall_seconds),
                        csv_number(arm.expert_hit_rate));
    text += arm.bound ? fmt::format("{:.6g},{:.6g},{:.6g},", arm.bound->drive_gbps,
                                    arm.bound->bound.seconds, arm.bound->of_the_bound.median)
                      : ",,,";
    std::string old = ",";
    if (findings.comparison) {
      for (const ArmComparison& compared : findings.comparison->arms) {
        if (compared.arm != arm.arm->name) continue;
        old = fmt::format("{:.6g},{}", compared.old_tps.median, to_string(compared.verdict));
      }
    }
    text += fmt::format("{},{},{}\n", findings.report.partial, old, csv_text(arm.first_failure));
  }
  return text;
}

}  // namespace hypura::cli
