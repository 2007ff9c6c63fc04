#include <nlohmann/json.hpp>

#include "cli/bench/output.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const std::optional<MedianInterval>& interval) {
  if (!interval) return nullptr;
  return {{"median", interval->median},
          {"low", interval->low},
          {"high", interval->high},
          {"coverage", interval->coverage},
          {"samples", interval->samples}};
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json sample_json(const BenchSample& sample) {
  return {{"decode_tps", sample.decode_tps},
          {"prefill_tps", sample.prefill_tps},
          {"ttft_seconds", sample.ttft_seconds},
          {"load_seconds", sample.load_seconds},
          {"seconds", sample.seconds},
          {"tokens", sample.tokens},
          {"failure", sample.failure.empty() ? Json(nullptr) : Json(sample.failure)},
          {"timed_out", sample.timed_out},
          {"mode", sample.mode.empty() ? Json(nullptr) : Json(sample.mode)},
          {"repacked", sample.repacked},
          {"budget_bytes", sample.budget_bytes == 0 ? Json(nullptr) : Json(sample.budget_bytes)},
          {"fixed_bytes", sample.fixed_bytes},
          {"bytes_read_per_token", sample.token_bytes},
          {"stall_seconds_per_token", sample.token_stall_seconds},
          {"expert_hit_rate", or_null(sample.expert_hit_rate)},
          {"drive_gbps", sample.drive_gbps == 0 ? Json(nullptr) : Json(sample.drive_gbps)},
          {"rss_peak_bytes", sample.peak_resident_bytes},
          {"group_peak_bytes", or_null(sample.group_peak_bytes)},
          {"text", sample.text},
          {"token_ids", sample.token_ids}};
}

Json bound_json(const BoundSummary& bound) {
  return {{"memory_bytes", bound.memory_bytes},
          {"slot_share", bound.bound.slot_share},
          {"missing_bytes", bound.bound.missing_bytes},
          {"drive_gbps", bound.drive_gbps},
          {"drive_seconds", bound.bound.drive_seconds},
          {"compute_seconds", bound.compute_seconds},
          {"compute_from", bound.compute_from},
          {"bound_seconds", bound.bound.seconds},
          {"of_the_bound", interval_json(bound.of_the_bound)},
          {"efficiency", 1 / bound.of_the_bound.median}};
}

Json arm_json(const ArmSummary& summary) {
  const BenchArm& arm = *summary.arm;
  Json samples = Json::array();
  for (const BenchSample& sample : arm.samples) samples.push_back(sample_json(sample));
  return {{"name", arm.name},
          {"command", arm.words},
          {"limited", arm.limited},
          {"failures", summary.failures},
          {"timeouts", summary.timeouts},
          {"decode_tps", interval_json(summary.decode_tps)},
          {"prefill_tps", interval_json(summary.prefill_tps)},
          {"ttft_seconds", interval_json(summary.ttft_seconds)},
          {"bytes_read_per_token", interval_json(summary.token_bytes)},
          {"stall_seconds_per_token", interval_json(summary.token_stall_seconds)},
          {"expert_hit_rate", interval_json(summary.expert_hit_rate)},
          {"bound", summary.bound ? bound_json(*summary.bound) : Json(nullptr)},
          {"samples", samples}};
}

Json comparison_json(const BenchComparison& comparison) {
  Json arms = Json::array();
  for (const ArmComparison& arm : comparison.arms) {
    arms.push_back({{"name", arm.arm},
                    {"old_decode_tps", interval_json(arm.old_tps)},
                    {"new_decode_tps", interval_json(arm.new_tps)},
                    {"verdict", to_string(arm.verdict)}});
  }
  return {{"regression", comparison.regression()},
          {"arms", arms},
          {"differences", comparison.differences}};
}

}  // namespace

nlohmann::ordered_json bench_conditions(const BenchReport& report) {
  return {{"model",
           {{"path", report.model_path},
            {"architecture", report.architecture},
            {"quantization", report.quantization},
            {"weight_bytes", report.weight_bytes},
            {"dense_bytes", report.token_bytes.dense},
            {"expert_bytes", report.token_bytes.experts},
            {"routed_bytes", report.token_bytes.routed}}},
          {"machine",
           {{"cpu", report.machine.cpu},
            {"cores", report.machine.cores},
            {"memory_bytes", report.machine.memory_bytes},
            {"system", report.machine.system},
            {"load", report.machine.load}}},
          {"settings",
           {{"ram_budget", report.ram_budget},
            {"fast_prompt", report.fast_prompt},
            {"limit_bytes", report.limit_bytes == 0 ? Json(nullptr) : Json(report.limit_bytes)},
            {"warm", report.warm},
            {"samples", report.samples},
            {"warmup", report.warmup},
            {"tokens", report.tokens},
            {"slow_tokens", report.slow_tokens},
            {"timeout_seconds", report.timeout_seconds},
            {"context", report.context},
            {"prompt", report.prompt},
            {"llama_options", report.llama}}}};
}

std::string bench_json(const BenchFindings& findings) {
  const BenchReport& report = findings.report;
  Json json = {{"schema", 1}, {"kind", "bench"}};
  json.update(bench_conditions(report));
  json["partial"] = report.partial;
  json["notes"] = report.notes;
  json["drive"] = {{"device", report.drive_device},
                   {"direct", report.drive_direct},
                   {"gbps", interval_json(findings.summary.drive_gbps)},
                   {"measurements_gbps", report.drive_gbps}};
  json["arms"] = Json::array();
  for (const ArmSummary& arm : findings.summary.arms) json["arms"].push_back(arm_json(arm));
  json["ratios"] = Json::array();
  for (const RatioSummary& ratio : findings.summary.ratios) {
    json["ratios"].push_back({{"to", ratio.to}, {"ratio", interval_json(ratio.ratio)}});
  }
  json["texts"] = {{"agree", findings.texts.agree}, {"message", findings.texts.message}};
  json["comparison"] = findings.comparison ? comparison_json(*findings.comparison) : Json(nullptr);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hypura::cli
