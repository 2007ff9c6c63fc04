#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cli/bench/compare.h"
#include "cli/bench/report.h"

namespace hypura::cli {

// Everything that -o shows, in whichever form.
struct BenchFindings {
  const BenchReport& report;
  const BenchSummary& summary;
  const TextCheck& texts;
  const std::optional<BenchComparison>& comparison;
};

// A table for a person, in Markdown, with the conditions above it.
std::string bench_markdown(const BenchFindings& findings);
// A row an arm, with medians.
std::string bench_csv(const BenchFindings& findings);
// One object, "schema": 1, with every sample and its text.
std::string bench_json(const BenchFindings& findings);

// The part of the JSON that says under which conditions it was measured: model, machine, settings.
nlohmann::ordered_json bench_conditions(const BenchReport& report);

}  // namespace hypura::cli
