#include "trace/routing_csv.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace hypura {
namespace {

constexpr std::string_view kNames =
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n";

std::string with_names(std::string_view records) { return std::string(kNames).append(records); }

TEST(RoutingCsvReader, ReadsWhatOthersPublish) {
  const Result<RoutingTrace> trace = parse_routing_csv(
      "# route_trace v1\r\n"
      "# model=/a/b.gguf arch=qwen3moe n_layer=48 n_expert=128 n_expert_used=2\r\n"
      "# layer=0 expert_bytes=3059712 dense_bytes=11953152\r\n"
      "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\r\n"
      "0,0,0,0,0,49,0.221297,0,3059712\r\n"
      "0,0,0,0,1,19,0.191844,1,0\r\n"
      "\r\n"
      "0,1,28,3,0,66,0.224008,0,3059712\r\n"
      "0,1,28,3,1,7,0.2,0,3059712\r\n");
  ASSERT_TRUE(trace.ok()) << trace.status().to_string();
  EXPECT_EQ(trace->experts, 128u);
  EXPECT_EQ(trace->layers, 4u);
  ASSERT_EQ(trace->tokens.size(), 2u);
  EXPECT_EQ(trace->tokens[0].phase, TracePhase::prompt);
  EXPECT_EQ(trace->tokens[0].experts, (std::vector<uint32_t>{49, 19}));
  EXPECT_EQ(trace->tokens[1].phase, TracePhase::decode);
  EXPECT_EQ(trace->tokens[1].step, 28u);
  EXPECT_EQ(trace->tokens[1].layer, 3u);
}

TEST(RoutingCsvReader, FindsColumnsByName) {
  const Result<RoutingTrace> trace =
      parse_routing_csv("expert,slot,x,layer,step,phase,turn\n5,0,?,1,2,1,3\n");
  ASSERT_TRUE(trace.ok()) << trace.status().to_string();
  EXPECT_EQ(trace->tokens[0].turn, 3u);
  EXPECT_EQ(trace->tokens[0].experts, (std::vector<uint32_t>{5}));
  EXPECT_EQ(trace->experts, 6u) << "of the records where no comment says it";
}

TEST(RoutingCsvReader, DropsALineThatWasCutOff) {
  const Result<RoutingTrace> trace = parse_routing_csv(with_names("0,1,0,0,0,7,,,\n0,1,0,0,1,1"));
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(trace->tokens[0].experts, (std::vector<uint32_t>{7}));
}

TEST(RoutingCsvReader, RefusesWhatIsNoTraceAndNamesTheLine) {
  const char* const records[] = {"0,1,0,0,0,x,,,\n",     "0,1,0,0,0\n",
                                 "0,1,0,0,0,,,,\n",      "0,2,0,0,0,1,,,\n",
                                 "0,1,0,0,0,65536,,,\n", "0,1,0,4096,0,1,,,\n",
                                 "0,1,0,0,1,1,,,\n",     "0,1,0,0,0,1 ,,,\n",
                                 "0,1,0,0,0,-1,,,\n",    "0,1,0,0,0,99999999999,,,\n"};
  for (const char* record : records) {
    const Result<RoutingTrace> trace = parse_routing_csv(with_names(record));
    ASSERT_FALSE(trace.ok()) << record;
    EXPECT_NE(trace.status().message().find("line 2"), std::string::npos) << record;
  }
  const char* const twice[] = {
      "0,1,0,0,0,1,,,\n0,1,0,0,1,1,,,\n", "0,1,0,0,0,1,,,\n0,1,0,1,1,2,,,\n",
      "0,1,0,0,0,1,,,\n0,1,1,0,1,2,,,\n", "0,1,0,0,0,1,,,\n0,1,0,0,2,2,,,\n"};
  for (const char* record : twice) {
    EXPECT_FALSE(parse_routing_csv(with_names(record)).ok()) << record;
  }
  EXPECT_FALSE(parse_routing_csv("").ok());
  EXPECT_FALSE(parse_routing_csv(kNames).ok());
  EXPECT_FALSE(parse_routing_csv("turn,phase,step,layer,slot\n0,1,0,0,0\n").ok());
  EXPECT_FALSE(parse_routing_csv("# n_expert=many\n").ok());
  EXPECT_FALSE(read_routing_csv("/nonexistent/trace.csv").ok());
}

TEST(RoutingCsvReader, AllowsAsManyChoicesAsItSays) {
  std::string records;
  for (int i = 0; i < 1024; ++i) {
    records += "0,1,0,0," + std::to_string(i) + "," + std::to_string(i) + ",,,\n";
  }
  EXPECT_TRUE(parse_routing_csv(with_names(records)).ok());
  EXPECT_FALSE(parse_routing_csv(with_names(records + "0,1,0,0,1024,1024,,,\n")).ok());
}

class RoutingCsvWriterTest : public testing::Test {
 protected:
  ~RoutingCsvWriterTest() override { std::filesystem::remove(path_); }

  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  const std::string path_ = (std::filesystem::temp_directory_path() /
                             ("hypura-trace-test-" + std::to_string(getpid()) + ".csv"))
                                .string();
};

TEST_F(RoutingCsvWriterTest, WhatItWritesIsReadBack) {
  {
    const std::unique_ptr<RoutingCsvWriter> writer = *RoutingCsvWriter::create(path_);
    ASSERT_TRUE(writer
                    ->write_header({.model = "a\nb.gguf",
                                    .architecture = "tiny",
                                    .layers = 2,
                                    .experts = 8,
                                    .experts_used = 2})
                    .ok());
    writer->begin_turn(3);
    // A prompt of 3, of which the last layer computes the last token; then a token; another turn.
    const std::vector<int32_t> prompt = {1, 2, 3, 4, 5, 6};
    const std::vector<int32_t> one = {7, 0};
    ASSERT_TRUE(writer->on_routing({.layer = 0, .choices = 2, .experts = prompt}).ok());
    ASSERT_TRUE(writer->on_routing({.layer = 1, .choices = 2, .experts = one}).ok());
    ASSERT_TRUE(writer->on_routing({.layer = 0, .choices = 2, .experts = one}).ok());
    ASSERT_TRUE(writer->on_routing({.layer = 1, .choices = 2, .experts = one}).ok());
    writer->begin_turn(0);
    ASSERT_TRUE(writer->on_routing({.layer = 1, .choices = 2, .experts = one}).ok());
    ASSERT_TRUE(writer->on_routing({.layer = 1, .choices = 2, .experts = one}).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  const Result<RoutingTrace> trace = read_routing_csv(path_);
  ASSERT_TRUE(trace.ok()) << trace.status().to_string();
  EXPECT_EQ(trace->experts, 8u);
  using Place = std::tuple<uint32_t, int, uint32_t, uint32_t>;  // turn, phase, step, layer
  std::vector<Place> places;
  for (const TokenRouting& token : trace->tokens) {
    places.emplace_back(token.turn, static_cast<int>(token.phase), token.step, token.layer);
  }
  EXPECT_EQ(places, (std::vector<Place>{{0, 0, 0, 0},
                                        {0, 0, 1, 0},
                                        {0, 0, 2, 0},
                                        {0, 0, 2, 1},
                                        {0, 1, 3, 0},
                                        {0, 1, 3, 1},
                                        {1, 1, 0, 1},
                                        {1, 1, 1, 1}}));
  EXPECT_EQ(trace->tokens[1].experts, (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(trace->tokens[3].experts, (std::vector<uint32_t>{7, 0}));
}

TEST_F(RoutingCsvWriterTest, BatchesThatEndedAreInTheFileWhileItIsWritten) {
  const std::unique_ptr<RoutingCsvWriter> writer = *RoutingCsvWriter::create(path_);
  writer->begin_turn(0);
  const std::vector<int32_t> experts = {3};
  ASSERT_TRUE(writer->on_routing({.layer = 0, .choices = 1, .experts = experts}).ok());
  ASSERT_TRUE(writer->on_routing({.layer = 0, .choices = 1, .experts = experts}).ok());
  EXPECT_EQ(content(), "0,1,0,0,0,3,,,\n");
}

TEST(RoutingCsvWriter, SaysWhichFileCannotBeWritten) {
  const auto none = RoutingCsvWriter::create("/nonexistent/trace.csv");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.status().message().find("/nonexistent/trace.csv"), std::string::npos);
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no device that is always full";
  const std::unique_ptr<RoutingCsvWriter> full = *RoutingCsvWriter::create("/dev/full");
  const Status status = full->write_header({});
  EXPECT_EQ(status.code(), StatusCode::failed);
  EXPECT_NE(status.message().find("/dev/full"), std::string::npos);
}

}  // namespace
}  // namespace hypura
