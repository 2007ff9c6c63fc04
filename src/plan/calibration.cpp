#include "plan/calibration.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hypura {
namespace {

// So many runs move a prediction half of the way.
constexpr double kDoubt = 3;
constexpr double kLogMax = 2 * std::numbers::ln2;  // a factor of 4
constexpr double kAlikeMax = 3 * std::numbers::ln2;  // a factor of 8
constexpr size_t kNone = SIZE_MAX;

// One phase of a run.
struct Sample {
  double log_rate = 0;   // log(predicted); minus infinity of a run without a prediction
  double log_error = 0;  // log(actual / predicted)
  bool streams = false;
  Bottleneck bottleneck = Bottleneck::compute;
  const std::string* model = nullptr;
};

bool alike(const Sample& a, const Sample& b) {
  return a.streams == b.streams && a.bottleneck == b.bottleneck &&
         std::abs(a.log_rate - b.log_rate) < kAlikeMax;
}

// The mean of the middle two if there are as many below as above. REQUIRES: some.
double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double doubted_median(std::vector<double>& values) {
  if (values.empty()) return 0;
  const double count = static_cast<double>(values.size());
  return median(values) * count / (count + kDoubt);
}

// The logarithm of the factor for `asked`, from all samples but number `left_out`.
double log_factor(const std::vector<Sample>& samples, const Sample& asked, size_t left_out) {
  std::vector<double> all;
  std::vector<double> own;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i == left_out || !alike(samples[i], asked)) continue;
    all.push_back(samples[i].log_error);
    if (*samples[i].model == *asked.model) own.push_back(samples[i].log_error);
  }
  const double common = doubted_median(all);
  for (double& error : own) error -= common;
  return std::clamp(common + doubted_median(own), -kLogMax, kLogMax);
}

Correction correct(const std::vector<Sample>& samples, const Sample& asked) {
  Correction correction{.runs = static_cast<uint32_t>(samples.size())};
  if (samples.empty()) return correction;
  correction.factor = std::exp(log_factor(samples, asked, kNone));
  std::vector<double> errors;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double predicted = log_factor(samples, samples[i], i);
    errors.push_back(std::abs(std::exp(predicted - samples[i].log_error) - 1));
  }
  correction.median_error = median(errors);
  return correction;
}

}  // namespace

Bottleneck bottleneck_of(const TokenCost& cost) {
  return cost.reads_longest() ? Bottleneck::drive : Bottleneck::compute;
}

Bottleneck bottleneck_of(const PromptCost& cost) {
  return cost.reads_longest() ? Bottleneck::drive : Bottleneck::compute;
}

Calibration calibrate(const std::vector<PastRun>& runs, const RunKind& kind,
                      const PredictedRates& rates) {
  std::vector<Sample> decodes;
  std::vector<Sample> prompts;
  const auto add = [](std::vector<Sample>& samples, const PastSpeed& speed, const RunKind& of,
                      Bottleneck bottleneck) {
    if (!speed.known()) return;
    samples.push_back({.log_rate = std::log(speed.predicted_tps),
                       .log_error = std::log(speed.actual_tps / speed.predicted_tps),
                       .streams = streams(of.mode),
                       .bottleneck = bottleneck,
                       .model = &of.model});
  };
  for (const PastRun& run : runs) {
    if (run.kind.profile != kind.profile) continue;
    add(decodes, run.decode, run.kind, run.kind.decode);
    add(prompts, run.prompt, run.kind, run.kind.prompt);
  }
  const Sample asked{.streams = streams(kind.mode), .model = &kind.model};
  Sample decode = asked;
  Sample prompt = asked;
  decode.bottleneck = kind.decode;
  decode.log_rate = std::log(rates.decode_tps);
  prompt.bottleneck = kind.prompt;
  prompt.log_rate = std::log(rates.prompt_tps);
  return {.decode = correct(decodes, decode), .prompt = correct(prompts, prompt)};
}

Range scaled(const Range& range, double factor) {
  return {.low = range.low * factor, .middle = range.middle * factor, .high = range.high * factor};
}

void apply(const Calibration& calibration, Prediction& prediction) {
  prediction.decode_tps = scaled(prediction.decode_tps, calibration.decode.factor);
  prediction.prompt_tps = scaled(prediction.prompt_tps, calibration.prompt.factor);
}

}  // namespace hypura
