#include "plan/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace hypura {
namespace {

const std::string kMachine = "0000000000000001";
constexpr PredictedRates kRates{.decode_tps = 8, .prompt_tps = 50};

struct Kind {
  std::string model = "a";
  Mode mode = Mode::dense;
  Bottleneck bottleneck = Bottleneck::drive;
};

RunKind kind_of(const Kind& kind) {
  return {.profile = kMachine,
          .model = kind.model,
          .mode = kind.mode,
          .decode = kind.bottleneck,
          .prompt = kind.bottleneck};
}

// A run that decoded `ratio` times as fast as predicted, and took its prompt as predicted.
PastRun run(double ratio, const Kind& kind = {}) {
  return {.kind = kind_of(kind),
          .decode = {.predicted_tps = 8, .actual_tps = 8 * ratio},
          .prompt = {.predicted_tps = 50, .actual_tps = 50}};
}

double factor(const std::vector<PastRun>& runs, const Kind& kind = {}) {
  return calibrate(runs, kind_of(kind), kRates).decode.factor;
}

TEST(Calibration, NothingIsKnownWithoutRuns) {
  const Calibration none = calibrate({}, kind_of({}), kRates);
  EXPECT_EQ(none.decode.factor, 1);
  EXPECT_EQ(none.decode.runs, 0u);
  EXPECT_EQ(none.decode.median_error, 0);
}

TEST(Calibration, FindsABias) {
  for (const double bias : {0.5, 0.8, 1.3, 3.0}) {
    const std::vector<PastRun> runs(20, run(bias));
    EXPECT_NEAR(factor(runs), bias, 0.03 * bias);
    const Calibration calibration = calibrate(runs, kind_of({}), kRates);
    EXPECT_LT(calibration.decode.median_error, 0.03);
    EXPECT_EQ(calibration.decode.runs, 20u);
    EXPECT_EQ(calibration.prompt.factor, 1) << "prompts are another matter";
  }
}

TEST(Calibration, FewRunsMoveLittleAndEachOneMore) {
  double before = 1;
  for (size_t count = 1; count <= 10; ++count) {
    const double now = factor(std::vector<PastRun>(count, run(2)));
    EXPECT_GT(now, before) << count;
    EXPECT_LT(now, 2) << count;
    before = now;
  }
  EXPECT_LT(factor({run(2)}), 1.4);
  EXPECT_GT(before, 1.8);
}

TEST(Calibration, OutliersMoveNothing) {
  std::vector<PastRun> runs(21, run(1.25));
  const double clean = factor(runs);
  for (size_t i = 0; i < 10; ++i) runs[2 * i] = run(i % 3 == 0 ? 1e-3 : 1000);
  EXPECT_NEAR(factor(runs), clean, 1e-9);
}

TEST(Calibration, NoFactorIsBeyondFour) {
  EXPECT_DOUBLE_EQ(factor(std::vector<PastRun>(200, run(100))), 4);
  EXPECT_DOUBLE_EQ(factor(std::vector<PastRun>(200, run(0.01))), 0.25);
}

TEST(Calibration, AnotherBottleneckOrNoStreamingIsAnotherMatter) {
  const std::vector<PastRun> runs(20, run(2));
  EXPECT_EQ(factor(runs, {.bottleneck = Bottleneck::compute}), 1);
  EXPECT_EQ(factor(runs, {.mode = Mode::resident}), 1);
  EXPECT_GT(factor(runs, {.mode = Mode::experts}), 1.7) << "the same drive";
}

TEST(Calibration, TinyModelsSayNothingAboutLargeOnes) {
  std::vector<PastRun> runs(20, run(0.3));
  EXPECT_LT(factor(runs), 0.4);
  for (PastRun& tiny : runs) tiny.decode = {.predicted_tps = 2500, .actual_tps = 100};
  EXPECT_EQ(factor(runs), 1);
  const Calibration unknown = calibrate(runs, kind_of({}), {});
  EXPECT_EQ(unknown.decode.factor, 1);
  EXPECT_EQ(unknown.decode.runs, 20u);
  EXPECT_GT(unknown.decode.median_error, 0);
}

TEST(Calibration, AnotherProfileIsAnotherMachine) {
  std::vector<PastRun> runs(20, run(2));
  for (PastRun& other : runs) other.kind.profile = "0000000000000002";
  const Calibration calibration = calibrate(runs, kind_of({}), kRates);
  EXPECT_EQ(calibration.decode.factor, 1);
  EXPECT_EQ(calibration.decode.runs, 0u);
}

TEST(Calibration, AModelOfItsOwnKeepsItsOwnError) {
  std::vector<PastRun> runs;
  for (int i = 0; i < 20; ++i) {
    runs.push_back(run(0.8, {.model = "a"}));
    runs.push_back(run(1.3, {.model = "b"}));
  }
  EXPECT_NEAR(factor(runs, {.model = "a"}), 0.8, 0.05);
  EXPECT_NEAR(factor(runs, {.model = "b"}), 1.3, 0.05);
  const double unseen = factor(runs, {.model = "c"});
  EXPECT_GT(unseen, 0.8);
  EXPECT_LT(unseen, 1.3);
}

TEST(Calibration, TheErrorOfARunIsFromTheOthers) {
  // One run says nothing about itself: off by half, whatever the factor for the next one.
  EXPECT_DOUBLE_EQ(calibrate({run(2)}, kind_of({}), kRates).decode.median_error, 0.5);
  // Two runs of unlike kinds neither.
  EXPECT_DOUBLE_EQ(
      calibrate({run(2), run(2, {.mode = Mode::resident})}, kind_of({}), kRates)
          .decode.median_error,
      0.5);
}

TEST(Calibration, NoiseIsNotLearntAway) {
  std::mt19937 random(7);  // the standard says what it draws
  std::vector<PastRun> runs;
  for (int i = 0; i < 200; ++i) {
    const double uniform = static_cast<double>(random()) / 4294967296.0;
    runs.push_back(run(1.5 * std::exp(0.4 * (uniform - 0.5))));
  }
  const Calibration calibration = calibrate(runs, kind_of({}), kRates);
  EXPECT_NEAR(calibration.decode.factor, 1.5, 0.06);
  // Half of the draws are within a tenth of the middle.
  EXPECT_NEAR(calibration.decode.median_error, 0.1, 0.03);
}

TEST(Calibration, PhasesThatAreNotKnownDoNotCount) {
  std::vector<PastRun> runs(5, run(2));
  for (PastRun& past : runs) past.decode = {};
  const Calibration calibration = calibrate(runs, kind_of({}), kRates);
  EXPECT_EQ(calibration.decode.runs, 0u);
  EXPECT_EQ(calibration.decode.factor, 1);
  EXPECT_EQ(calibration.prompt.runs, 5u);
}

TEST(Calibration, DependsOnNoOrder) {
  std::vector<PastRun> runs;
  for (int i = 0; i < 30; ++i) {
    runs.push_back(run(0.5 + 0.07 * i, {.model = i % 3 == 0 ? "a" : "b"}));
  }
  const Calibration before = calibrate(runs, kind_of({}), kRates);
  std::reverse(runs.begin(), runs.end());
  const Calibration after = calibrate(runs, kind_of({}), kRates);
  EXPECT_EQ(before.decode.factor, after.decode.factor);
  EXPECT_EQ(before.decode.median_error, after.decode.median_error);
}

TEST(Calibration, CorrectsWholeRanges) {
  Prediction prediction;
  prediction.decode_tps = {.low = 4, .middle = 5, .high = 6};
  prediction.prompt_tps = {.low = 40, .middle = 50, .high = 60};
  apply({.decode = {.factor = 2}, .prompt = {.factor = 0.5}}, prediction);
  EXPECT_EQ(prediction.decode_tps.low, 8);
  EXPECT_EQ(prediction.decode_tps.high, 12);
  EXPECT_EQ(prediction.prompt_tps.middle, 25);
}

}  // namespace
}  // namespace hypura
