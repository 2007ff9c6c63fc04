#include "cli/plan/run_record.h"

#include <gtest/gtest.h>

#include "cli/plan/history_words.h"

namespace hypura::cli {
namespace {

RunPrediction prediction() {
  RunPrediction prediction;
  prediction.decode_tps.middle = 9;  // corrected
  prediction.uncalibrated_decode_tps = 7;
  prediction.uncalibrated_prompt_tps = 40;
  prediction.kind.mode = Mode::experts;
  return prediction;
}

RunFacts facts() {
  return {.prompt_tokens = 64, .decoded = 20, .prompt_seconds = 2, .decode_seconds = 4};
}

TEST(RunRecord, HoldsWhatTheModelOfCostsSaidBeforeItWasCorrected) {
  const std::optional<PastRun> run = record_of(prediction(), facts(), "today");
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->decode.predicted_tps, 7);
  EXPECT_EQ(run->decode.actual_tps, 5);
  EXPECT_EQ(run->prompt.predicted_tps, 40);
  EXPECT_EQ(run->prompt.actual_tps, 32);
  EXPECT_EQ(run->kind.mode, Mode::experts);
  EXPECT_EQ(run->date, "today");
}

TEST(RunRecord, FewTokensDoNotCount) {
  RunFacts few = facts();
  few.decoded = kDecodedMin - 1;
  EXPECT_FALSE(record_of(prediction(), few, "")->decode.known());
  EXPECT_TRUE(record_of(prediction(), few, "")->prompt.known());
  few.prompt_tokens = kPromptMin - 1;
  EXPECT_FALSE(record_of(prediction(), few, "").has_value());
  few.decoded = kDecodedMin;
  EXPECT_TRUE(record_of(prediction(), few, "")->decode.known());
  EXPECT_FALSE(record_of(prediction(), few, "")->prompt.known());
}

TEST(RunRecord, RunsThatSayNothingAboutTheModelOfCostsDoNotCount) {
  for (bool RunFacts::*const flag : {&RunFacts::interrupted, &RunFacts::shrunk,
                                     &RunFacts::repacked}) {
    RunFacts bad = facts();
    bad.*flag = true;
    EXPECT_FALSE(record_of(prediction(), bad, "").has_value());
  }
  RunPrediction mapped = prediction();
  mapped.kind.mode = Mode::mapped;
  EXPECT_FALSE(record_of(mapped, facts(), "").has_value());
  RunPrediction unknown = prediction();
  unknown.uncalibrated_decode_tps = unknown.uncalibrated_prompt_tps = 0;
  EXPECT_FALSE(record_of(unknown, facts(), "").has_value());
}

TEST(HistoryWords, CountAndError) {
  EXPECT_EQ(past_text({}), "");
  EXPECT_EQ(past_text({.runs = 1, .median_error = 0.5}), "1 past run, median error 50 %");
  EXPECT_EQ(past_text({.runs = 12, .median_error = 0.062}), "12 past runs, median error 6 %");
  EXPECT_EQ(correction_json({.factor = 2, .runs = 3, .median_error = 0.5}, 4).dump(),
            R"({"uncalibrated_tps":4.0,"factor":2.0,"runs":3,"median_error":0.5})");
  EXPECT_EQ(correction_json({}, 0).dump(),
            R"({"uncalibrated_tps":null,"factor":1.0,"runs":0,"median_error":null})");
}

}  // namespace
}  // namespace hypura::cli
