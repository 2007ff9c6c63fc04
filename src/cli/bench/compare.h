#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/bench/report.h"

namespace hypura::cli {

enum class BenchVerdict : uint8_t { same, faster, slower };
const char* to_string(BenchVerdict verdict);

// One arm, then and now, by its decode tok/s. Slower, or faster, only beyond noise: the two
// intervals do not touch.
struct ArmComparison {
  std::string arm;
  MedianInterval old_tps;
  MedianInterval new_tps;
  BenchVerdict verdict = BenchVerdict::same;
};

struct BenchComparison {
  std::vector<ArmComparison> arms;       // those that both have
  std::vector<std::string> differences;  // in the conditions, which make it a doubtful comparison
  bool regression() const;
};

// `old_json` is what -o json printed once. Errors: failed if it is not.
Result<BenchComparison> compare_reports(std::string_view old_json, const BenchReport& report,
                                        const BenchSummary& summary);

}  // namespace hypura::cli
