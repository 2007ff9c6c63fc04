#include "plan/history.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace hypura {
namespace {

PastRun example() {
  return {.kind = {.profile = "0123456789abcdef",
                   .model = "fedcba9876543210",
                   .mode = Mode::mixed,
                   .decode = Bottleneck::drive,
                   .prompt = Bottleneck::compute},
          .date = "2026-11-22T20:10:00Z",
          .prompt_tokens = 90,
          .tokens = 31,
          .decode = {.predicted_tps = 7.25, .actual_tps = 6.5},
          .prompt = {.predicted_tps = 40.125, .actual_tps = 44}};
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = history_json({example()});
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(History, ComesBackAsItWas) {
  PastRun half = example();
  half.prompt = {};
  half.kind.prompt = Bottleneck::compute;
  const std::string text = history_json({example(), half});
  const Result<std::vector<PastRun>> runs = parse_history(text);
  ASSERT_TRUE(runs.ok()) << runs.status().to_string();
  ASSERT_EQ(runs->size(), 2u);
  EXPECT_EQ(history_json(*runs), text);
  EXPECT_EQ((*runs)[0].kind.mode, Mode::mixed);
  EXPECT_EQ((*runs)[0].kind.decode, Bottleneck::drive);
  EXPECT_EQ((*runs)[0].decode.actual_tps, 6.5);
  EXPECT_FALSE((*runs)[1].prompt.known());
}

TEST(History, AnEmptyOneIsOne) {
  const Result<std::vector<PastRun>> runs = parse_history(history_json({}));
  ASSERT_TRUE(runs.ok()) << runs.status().to_string();
  EXPECT_TRUE(runs->empty());
}

TEST(History, HoldsTheNewestAndStaysSmall) {
  std::vector<PastRun> runs;
  for (uint32_t i = 0; i < kPastRunsMax + 50; ++i) {
    PastRun run = example();
    run.tokens = i;
    run.decode = {.predicted_tps = 1.0 / 3 + i, .actual_tps = 2.0 / 7 + i};  // all their digits
    add_run(runs, std::move(run));
  }
  ASSERT_EQ(runs.size(), kPastRunsMax);
  EXPECT_EQ(runs.front().tokens, 50u);
  EXPECT_EQ(runs.back().tokens, kPastRunsMax + 49);
  const std::string text = history_json(runs);
  EXPECT_LT(text.size(), kHistoryBytesMax / 2);
  EXPECT_EQ(parse_history(text)->front().tokens, 50u);
}

TEST(History, OfMoreRunsThanTheRingHoldsTheNewestAreRead) {
  std::vector<PastRun> runs(kPastRunsMax + 3, example());
  runs.back().tokens = 7;
  const Result<std::vector<PastRun>> read = parse_history(history_json(runs));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->size(), kPastRunsMax);
  EXPECT_EQ(read->back().tokens, 7u);
}

TEST(History, KeysThatAreNotKnownAreSkipped) {
  EXPECT_TRUE(parse_history(with("\"tokens\":31", "\"tokens\":31,\"mood\":[1,{}]")).ok());
}

TEST(History, RefusesNonsense) {
  const std::string hostile[] = {
      "",
      "{",
      "[]",
      "null",
      "{}",
      "\xff\xfe",
      std::string(100'000, '['),
      std::string(kHistoryBytesMax + 1, ' '),
      with("\"schema\": 1", "\"schema\": 2"),
      with("\"schema\": 1", "\"schema\": \"1\""),
      with("hypura history", "hypura plan"),
      with("\"runs\"", "\"sprints\""),
      with("[", "[7,"),
      with("[", "[{},"),
      with("0123456789abcdef", "0123456789abcdeg"),
      with("0123456789abcdef", "0123"),
      with("fedcba9876543210", "\\u001b[31m76543210"),
      with("\"mixed\"", "\"auto\""),
      with("\"mixed\"", "3"),
      with("2026-11-22T20:10:00Z", "yesterday at about 8"),
      with("2026-11-22T20:10:00Z", "2026"),
      with("\"drive\"", "\"disk\""),
      with("\"tokens\":31", "\"tokens\":-1"),
      with("\"tokens\":31", "\"tokens\":1e3"),
      with("\"tokens\":31", "\"tokens\":16777217"),
      with("7.25", "0"),
      with("7.25", "-7.25"),
      with("7.25", "1e-7"),
      with("7.25", "1e7"),
      with("7.25", "1e999"),
      with("7.25", "null"),
      with("6.5", "\"6.5\""),
      with("\"actual_tps\":6.5", "\"actual\":6.5"),
  };
  for (const std::string& text : hostile) {
    const Result<std::vector<PastRun>> runs = parse_history(text);
    ASSERT_FALSE(runs.ok()) << text.substr(0, 400);
    EXPECT_EQ(runs.status().message(), "this is no history of runs");
    EXPECT_FALSE(runs.status().why().empty());
  }
}

TEST(History, SaysWhatIsWrong) {
  EXPECT_EQ(parse_history(with("6.5", "-1")).status().why(),
            "run 1: actual_tps is missing or makes no sense");
  PastRun empty = example();
  empty.decode = empty.prompt = {};
  EXPECT_EQ(parse_history(history_json({empty})).status().why(), "run 1: it has no speed");
}

}  // namespace
}  // namespace hypura
