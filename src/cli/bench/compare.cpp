#include "cli/bench/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/bench/output.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::json;

MedianInterval interval_from(const Json& json) {
  return {.median = json.at("median"),
          .low = json.at("low"),
          .high = json.at("high"),
          .coverage = json.at("coverage"),
          .samples = json.at("samples")};
}

BenchVerdict judge(const MedianInterval& then, const MedianInterval& now) {
  if (now.high < then.low) return BenchVerdict::slower;
  if (now.low > then.high) return BenchVerdict::faster;
  return BenchVerdict::same;
}

// Conditions under which two speeds do not mean the same.
void find_differences(const Json& before, const Json& now, std::vector<std::string>& found) {
  for (const char* part : {"model", "machine", "settings"}) {
    for (const auto& [key, value] : now.at(part).items()) {
      if (key == "path" || key == "load" || key == "samples" || key == "warmup") continue;
      // An option that the old report does not know was off.
      const Json unknown = value.is_boolean() ? Json(false) : Json();
      const Json old = before.at(part).value(key, unknown);
      if (old != value) {
        found.push_back(fmt::format("{} was {}, is {}", key, old.dump(), value.dump()));
      }
    }
  }
}

BenchComparison compare_with(const Json& before, const BenchReport& report,
                             const BenchSummary& summary) {
  BenchComparison comparison;
  find_differences(before, Json(bench_conditions(report)), comparison.differences);
  for (const Json& arm : before.at("arms")) {
    const std::string name = arm.at("name");
    const auto now = std::find_if(summary.arms.begin(), summary.arms.end(),
                                  [&](const ArmSummary& each) { return each.arm->name == name; });
    const Json& then = arm.at("decode_tps");
    if (now == summary.arms.end() || !now->decode_tps || then.is_null()) continue;
    const MedianInterval old_tps = interval_from(then);
    comparison.arms.push_back({.arm = name,
                               .old_tps = old_tps,
                               .new_tps = *now->decode_tps,
                               .verdict = judge(old_tps, *now->decode_tps)});
  }
  return comparison;
}

}  // namespace

const char* to_string(BenchVerdict verdict) {
  switch (verdict) {
    case BenchVerdict::same:
      return "same within noise";
    case BenchVerdict::faster:
      return "faster";
    case BenchVerdict::slower:
      return "SLOWER";
  }
  return "";
}

bool BenchComparison::regression() const {
  return std::any_of(arms.begin(), arms.end(),
                     [](const ArmComparison& arm) { return arm.verdict == BenchVerdict::slower; });
}

Result<BenchComparison> compare_reports(std::string_view old_json, const BenchReport& report,
                                        const BenchSummary& summary) {
  std::string why;
  try {
    const Json before = Json::parse(old_json);
    if (before.at("schema") == 1 && before.at("kind") == "bench") {
      return compare_with(before, report, summary);
    }
    why = "its kind or schema is another";
  } catch (const Json::exception& error) {
    why = error.what();
  }
  return Status(StatusCode::failed, "the report to compare with is not one of hypura bench")
      .because(why)
      .suggest("a file written by: hypura bench MODEL -o json > old.json");
}

}  // namespace hypura::cli
