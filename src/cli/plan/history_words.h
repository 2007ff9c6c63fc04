#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "plan/calibration.h"

namespace hypura::cli {

// "12 past runs, median error 6 %"; empty if there were none.
std::string past_text(const Correction& correction);

// {"uncalibrated_tps", "factor", "runs", "median_error"}, null where there is nothing.
nlohmann::ordered_json correction_json(const Correction& correction, double uncalibrated_tps);

}  // namespace hypura::cli
