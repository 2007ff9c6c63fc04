#pragma once

#include <cstdint>
#include <vector>

#include "plan/cost_model.h"
#include "plan/history.h"

namespace hypura {

// How far predictions were off on this machine, from runs that it did: a factor on top of the cost
// model, which itself is fitted to nothing. Pure and deterministic.

Bottleneck bottleneck_of(const TokenCost& cost);
Bottleneck bottleneck_of(const PromptCost& cost);

// Of decoding, or of prompts.
struct Correction {
  double factor = 1;        // times the rate that the cost model predicts
  uint32_t runs = 0;        // with this profile, of any model and bottleneck
  double median_error = 0;  // |predicted / actual - 1| of them, each predicted from the others only
};

struct Calibration {
  Correction decode;
  Correction prompt;
};

// What the cost model predicts for a run; 0: nothing.
struct PredictedRates {
  double decode_tps = 0;
  double prompt_tps = 0;
};

// For a run of this kind. Two steps, each the median of log(actual / predicted) times n / (n + 3)
// for n runs, so that one run moves little and outliers nothing: of the runs like this one, then of
// what is left in those of the same model. Like it are runs that streamed or not, and had the same
// bottleneck, as this one, and a predicted rate within a factor of 8: what a tiny model spends
// beside its weights says nothing about a large one. Within a factor of 4: where more is missing
// the profile is wrong, not the model of costs.
Calibration calibrate(const std::vector<PastRun>& runs, const RunKind& kind,
                      const PredictedRates& rates);

Range scaled(const Range& range, double factor);
void apply(const Calibration& calibration, Prediction& prediction);

}  // namespace hypura
