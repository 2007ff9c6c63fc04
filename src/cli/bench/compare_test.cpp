#include "cli/bench/compare.h"

#include <gtest/gtest.h>

#include "cli/bench/output.h"

namespace hypura::cli {
namespace {

BenchReport with(std::vector<double> rates) {
  BenchReport report;
  report.weight_bytes = 1000;
  report.arms.push_back({.name = "hypura"});
  for (const double tps : rates) report.arms[0].samples.push_back({.decode_tps = tps});
  return report;
}

std::string json_of(const BenchReport& report) {
  const BenchSummary summary = summarise(report);
  return bench_json({report, summary, TextCheck{}, std::nullopt});
}

Result<BenchComparison> compare(const std::string& old_json, const BenchReport& now) {
  return compare_reports(old_json, now, summarise(now));
}

BenchVerdict verdict(std::vector<double> then, std::vector<double> now) {
  const Result<BenchComparison> comparison = compare(json_of(with(then)), with(now));
  EXPECT_TRUE(comparison.ok()) << comparison.status().to_string();
  EXPECT_EQ(comparison->regression(), comparison->arms.at(0).verdict == BenchVerdict::slower);
  return comparison->arms.at(0).verdict;
}

TEST(BenchCompare, OnlyIntervalsApartAreAChange) {
  EXPECT_EQ(verdict({4, 5, 6}, {4, 5, 6}), BenchVerdict::same);
  EXPECT_EQ(verdict({4, 5, 6}, {2, 3, 4}), BenchVerdict::same) << "they touch";
  EXPECT_EQ(verdict({4, 5, 6}, {2, 3, 3.9}), BenchVerdict::slower);
  EXPECT_EQ(verdict({4, 5, 6}, {6.1, 7, 8}), BenchVerdict::faster);
}

TEST(BenchCompare, NamesOtherConditions) {
  BenchReport now = with({5});
  now.weight_bytes = 2000;
  now.machine.load = 3;
  const Result<BenchComparison> comparison = compare(json_of(with({5})), now);
  ASSERT_TRUE(comparison.ok());
  EXPECT_EQ(comparison->differences, (std::vector<std::string>{"weight_bytes was 1000, is 2000"}));
}

TEST(BenchCompare, ArmsThatOneLacksAreLeftOut) {
  BenchReport then = with({5});
  then.arms[0].name = "mmap";
  EXPECT_TRUE(compare(json_of(then), with({5}))->arms.empty());
  EXPECT_TRUE(compare(json_of(with({})), with({5}))->arms.empty()) << "all samples failed";
}

TEST(BenchCompare, RefusesWhatIsNoReport) {
  std::string other_schema = json_of(with({5}));
  other_schema.replace(other_schema.find("\"schema\": 1"), 11, "\"schema\": 9");
  for (const std::string& old : {std::string(), std::string("{"), std::string("[]"),
                                 std::string("{\"schema\": 1}"), other_schema}) {
    EXPECT_EQ(compare(old, with({5})).status().code(), StatusCode::failed) << old.substr(0, 40);
  }
}

TEST(BenchOutput, CsvHasAsManyFieldsInEveryRow) {
  BenchReport report = with({4, 5});
  report.arms.push_back({.name = "mmap", .samples = {{.failure = "exit 1: \"no\", it said"}}});
  const BenchSummary summary = summarise(report);
  const std::string csv = bench_csv({report, summary, TextCheck{}, std::nullopt});
  EXPECT_NE(csv.find("\nmmap,1,1,,"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",\"exit 1: \"\"no\"\", it said\"\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\nhypura,2,0,4.5,4,5,0.5000,"), std::string::npos) << csv;
}

TEST(BenchOutput, MarkdownSaysWhatFailedAndWhatIsPartial) {
  BenchReport report = with({4, 5});
  report.arms.push_back({.name = "mmap", .samples = {{.failure = "killed (out of memory)"}}});
  report.partial = true;
  const BenchSummary summary = summarise(report);
  const std::string table = bench_markdown({report, summary, TextCheck{}, std::nullopt});
  EXPECT_NE(table.find("| mmap | killed (out of memory) |"), std::string::npos) << table;
  EXPECT_NE(table.find("| hypura | 4.50 | 4.00 to 5.00 (50.0 %) |"), std::string::npos) << table;
  EXPECT_NE(table.find("PARTIAL"), std::string::npos) << table;
}

}  // namespace
}  // namespace hypura::cli
