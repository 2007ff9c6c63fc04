#include "server/ollama/answer.h"

#include <gtest/gtest.h>

#include <sstream>

namespace hypura::ollama {
namespace {

// As llama.cpp's server streams /v1/chat/completions.
const std::string kChat =
    R"(data: {"choices":[{"finish_reason":null,"index":0,)"
    R"("delta":{"role":"assistant","content":null}}]})"
    "\n\n"
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"hm"}}]})"
    "\n\n"
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Par"}}]})"
    "\n\n"
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"is \"é\""}}]})"
    "\n\n"
    R"(data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],"timings":{"cache_n":4,)"
    R"("prompt_n":3,"prompt_ms":20.5,"predicted_n":2,"predicted_ms":10}})"
    "\n\ndata: [DONE]\n\n";

const std::string kCalls =
    R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function",)"
    R"("function":{"name":"weather","arguments":""}}]}}]})"
    "\n\n"
    R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,)"
    R"("function":{"arguments":"{\"city\":"}}]}}]})"
    "\n\n"
    R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,)"
    R"("function":{"arguments":"\"Oslo\"}"}}]}}]})"
    "\n\n"
    R"(data: {"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}]})"
    "\n\n";

// As it streams /completion.
const std::string kCompletion =
    R"(data: {"content":" a","tokens":[7],"stop":false})"
    "\n\n"
    R"(data: {"content":" b","tokens":[8],"stop":false})"
    "\n\n"
    R"(data: {"content":"","tokens":[],"stop":true,"stop_type":"eos","tokens_predicted":2,)"
    R"("timings":{"prompt_n":2,"cache_n":0}})"
    "\n\n";

AnswerFrame frame(AnswerFrame::Kind kind, bool stream) {
  return {.kind = kind, .model = "m", .stream = stream, .load_seconds = 1.5};
}

std::string answered(Answer& answer, const std::string& events, size_t cut) {
  std::string text = answer.on_data(events.substr(0, cut));
  text += answer.on_data(events.substr(cut));
  return text + answer.on_end();
}

std::vector<Json> lines(const std::string& text) {
  std::vector<Json> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(Json::parse(line));
  return all;
}

TEST(Answer, AChatIsLinesWhereverItIsCut) {
  for (size_t cut = 0; cut <= kChat.size(); ++cut) {
    Answer answer(frame(AnswerFrame::Kind::chat, true));
    const std::vector<Json> all = lines(answered(answer, kChat, cut));
    ASSERT_EQ(all.size(), 4) << cut;
    EXPECT_EQ(all[0]["message"],
              (Json{{"role", "assistant"}, {"content", ""}, {"thinking", "hm"}}));
    EXPECT_EQ(all[1]["message"]["content"], "Par");
    EXPECT_EQ(all[1]["done"], false);
    EXPECT_EQ(all[2]["message"]["content"], "is \"é\"");
    EXPECT_EQ(all[3]["done"], true);
    EXPECT_EQ(all[3]["done_reason"], "length");
    EXPECT_EQ(all[3]["prompt_eval_count"], 7);
    EXPECT_EQ(all[3]["prompt_eval_duration"], 20'500'000);
    EXPECT_EQ(all[3]["eval_count"], 2);
    EXPECT_EQ(all[3]["load_duration"], 1'500'000'000);
    EXPECT_FALSE(all[3].contains("context"));
  }
}

TEST(Answer, WithoutStreamingItIsOneObject) {
  Answer answer(frame(AnswerFrame::Kind::chat, false));
  const Json whole = Json::parse(answered(answer, kChat, 9));
  EXPECT_EQ(whole["message"]["content"], "Paris \"é\"");
  EXPECT_EQ(whole["message"]["thinking"], "hm");
  EXPECT_EQ(whole["done"], true);
  EXPECT_EQ(answer.http_code(), 200);
}

TEST(Answer, CallsComeWhole) {
  const Json call = {
      {"function", {{"index", 0}, {"name", "weather"}, {"arguments", {{"city", "Oslo"}}}}},
      {"id", "a"}};
  Answer streamed(frame(AnswerFrame::Kind::chat, true));
  const std::vector<Json> all = lines(answered(streamed, kCalls, 20));
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0]["message"]["tool_calls"], Json::array({call}));
  EXPECT_EQ(all[1]["done_reason"], "stop");
  EXPECT_FALSE(all[1]["message"].contains("tool_calls"));
  Answer whole(frame(AnswerFrame::Kind::chat, false));
  EXPECT_EQ(Json::parse(answered(whole, kCalls, 0))["message"]["tool_calls"], Json::array({call}));
}

TEST(Answer, AGenerateTellsItsContext) {
  AnswerFrame told = frame(AnswerFrame::Kind::generate, true);
  told.tells_context = true;
  told.prompt_tokens = {1, 2};
  Answer answer(told);
  const std::vector<Json> all = lines(answered(answer, kCompletion, 50));
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0]["response"], " a");
  EXPECT_EQ(all[2]["response"], "");
  EXPECT_EQ(all[2]["context"], (Json{1, 2, 7, 8}));
  EXPECT_EQ(all[2]["done_reason"], "stop");
}

TEST(Answer, ErrorsEndIt) {
  const std::string events =
      kCompletion.substr(0, kCompletion.find("data", 5)) +
      "data: {\"error\":{\"code\":500,\"message\":\"the drive failed\"}}\n\n";
  Answer streamed(frame(AnswerFrame::Kind::generate, true));
  const std::vector<Json> all = lines(answered(streamed, events, 3));
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[1], (Json{{"error", "the drive failed"}}));
  Answer whole(frame(AnswerFrame::Kind::generate, false));
  EXPECT_EQ(Json::parse(answered(whole, events, 3)), (Json{{"error", "the drive failed"}}));
  EXPECT_EQ(whole.http_code(), 500);
}

// A token that splits a character comes in no event of its own.
TEST(Answer, ACutContextIsNotTold) {
  AnswerFrame told = frame(AnswerFrame::Kind::generate, false);
  told.tells_context = true;
  Answer answer(told);
  const size_t second = kCompletion.find("data", 5);
  EXPECT_FALSE(Json::parse(answered(answer, kCompletion.substr(second), 3)).contains("context"));
}

TEST(Answer, ACallThatWasCutOffIsNone) {
  std::string events = kCalls.substr(0, kCalls.find("data", kCalls.find("city")));
  events += R"(data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}]})";
  events += "\n\n";
  Answer streamed(frame(AnswerFrame::Kind::chat, true));
  const std::vector<Json> all = lines(answered(streamed, events, 20));
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all[0]["done_reason"], "length");
  Answer whole(frame(AnswerFrame::Kind::chat, false));
  EXPECT_FALSE(Json::parse(answered(whole, events, 0))["message"].contains("tool_calls"));
}

TEST(Answer, AnAnswerThatBreaksOffIsAnError) {
  const std::string events =
      kChat.substr(0, kChat.find("data: {\"choices\":[{\"finish_reason\":\"length"));
  Answer streamed(frame(AnswerFrame::Kind::chat, true));
  EXPECT_TRUE(lines(answered(streamed, events, 0)).back().contains("error"));
  Answer whole(frame(AnswerFrame::Kind::chat, false));
  EXPECT_TRUE(Json::parse(answered(whole, events, 0)).contains("error"));
  EXPECT_EQ(whole.http_code(), 500);
}

TEST(Answer, LogprobsHaveAsManyAlternativesAsAsked) {
  const std::string events =
      R"(data: {"choices":[{"finish_reason":"stop","index":0,"delta":{"content":"a"},"logprobs":)"
      R"({"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[)"
      R"({"token":"a","logprob":-0.5,"bytes":[97]},)"
      R"({"token":"b","logprob":-1.5,"bytes":[98]}]}]}}]})"
      "\n\n";
  for (const int top : {0, 1, 2}) {
    AnswerFrame asked = frame(AnswerFrame::Kind::chat, false);
    asked.top_logprobs = top;
    Answer answer(asked);
    const Json token = Json::parse(answered(answer, events, 0))["logprobs"][0];
    EXPECT_EQ(token["token"], "a");
    EXPECT_EQ(token.value("top_logprobs", Json::array()).size(), static_cast<size_t>(top));
  }
}

TEST(Answer, TimesAreRfc3339) {
  EXPECT_EQ(time_text(1'700'000'000'000'000'007), "2023-11-14T22:13:20.000000007Z");
}

}  // namespace
}  // namespace hypura::ollama
