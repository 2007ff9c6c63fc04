#include "cli/plan/history_words.h"

#include <fmt/format.h>

namespace hypura::cli {

std::string past_text(const Correction& correction) {
  if (correction.runs == 0) return "";
  return fmt::format("{} past run{}, median error {:.0f} %", correction.runs,
                     correction.runs == 1 ? "" : "s", 100 * correction.median_error);
}

nlohmann::ordered_json correction_json(const Correction& correction, double uncalibrated_tps) {
  using Json = nlohmann::ordered_json;
  return {{"uncalibrated_tps", uncalibrated_tps > 0 ? Json(uncalibrated_tps) : Json(nullptr)},
          {"factor", correction.factor},
          {"runs", correction.runs},
          {"median_error", correction.runs > 0 ? Json(correction.median_error) : Json(nullptr)}};
}

}  // namespace hypura::cli
