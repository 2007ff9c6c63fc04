#include <gtest/gtest.h>

#include "nlohmann/json.hpp"
#include "server/ollama/chat_request.h"
#include "server/ollama/embeddings.h"
#include "server/ollama/generate_request.h"

namespace hypura::ollama {
namespace {

Json chat(const char* body) {
  const Result<Json> made = chat_request(Json::parse(body));
  return made.ok() ? *made : Json(made.status().message());
}

TEST(ChatRequest, HasOllamasDefaults) {
  const Json request = chat(R"({"messages":[]})");
  EXPECT_EQ(request["top_p"], 0.9);
  EXPECT_EQ(request["min_p"], 0.0);
  EXPECT_EQ(request["repeat_penalty"], 1.1);
  EXPECT_EQ(request["n_predict"], -1);
  EXPECT_EQ(request["stream"], true);
}

TEST(ChatRequest, TakesOptions) {
  const Json request = chat(R"({"messages":[],"options":{"temperature":0.5,"top_k":3,"seed":7.0,
      "stop":"x","num_predict":-2,"num_keep":4,"num_gpu":99,"num_thread":8}})");
  EXPECT_EQ(request["temperature"], 0.5);
  EXPECT_EQ(request["top_k"], 3);
  EXPECT_EQ(request["seed"], 7);
  EXPECT_EQ(request["stop"], Json::array({"x"}));
  EXPECT_EQ(request["n_predict"], -1);
  EXPECT_EQ(request["n_keep"], 4);
  EXPECT_FALSE(request.contains("num_gpu"));
}

TEST(ChatRequest, NamesTheOptionOfAWrongType) {
  EXPECT_EQ(chat(R"({"messages":[],"options":{"temperature":"hot"}})"),
            "option \"temperature\" must be of type float32");
  EXPECT_EQ(chat(R"({"messages":[],"options":{"top_k":1.5}})"),
            "option \"top_k\" must be of type integer");
  EXPECT_EQ(chat(R"({"messages":[],"options":{"stop":[1]}})"),
            "option \"stop\" must be of type array of strings");
}

TEST(ChatRequest, ArgumentsBecomeTextAndThoughtsReasoning) {
  const Json request = chat(R"({"messages":[{"role":"assistant","content":"","thinking":"hm",
      "tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},
      {"role":"tool","tool_name":"f","content":"2"}]})");
  const Json& call = request["messages"][0]["tool_calls"][0];
  EXPECT_EQ(call["function"]["arguments"], "{\"a\":1}");
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(request["messages"][0]["reasoning_content"], "hm");
  EXPECT_EQ(request["messages"][1]["name"], "f");
}

TEST(ChatRequest, ImagesAreParts) {
  const Json request =
      chat(R"({"messages":[{"role":"user","content":"what?","images":["/9j/AAAA"]}]})");
  const Json& parts = request["messages"][0]["content"];
  EXPECT_EQ(parts[0]["image_url"]["url"], "data:image/jpeg;base64,/9j/AAAA");
  EXPECT_EQ(parts[1]["text"], "what?");
}

TEST(ChatRequest, FormatsAndThinking) {
  EXPECT_EQ(chat(R"({"messages":[],"format":"json"})")["response_format"]["type"], "json_object");
  EXPECT_EQ(chat(R"({"messages":[],"format":{"type":"object"}})")["response_format"]["json_schema"]
                ["schema"]["type"],
            "object");
  EXPECT_EQ(chat(R"({"messages":[],"think":false})")["chat_template_kwargs"]["enable_thinking"],
            false);
  EXPECT_EQ(chat(R"({"messages":[],"think":"low"})")["chat_template_kwargs"]["reasoning_effort"],
            "low");
  EXPECT_TRUE(chat(R"({"messages":[],"think":"much"})").is_string());
  EXPECT_TRUE(chat(R"({"messages":[],"format":"yaml"})").is_string());
}

GeneratePlan plan(const char* body, const ModelFacts& model) {
  const Result<GeneratePlan> made = plan_generate(Json::parse(body), model);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? *made : GeneratePlan();
}

TEST(GenerateRequest, GoesTheWayThatTheRequestNeeds) {
  const ModelFacts plain{.name = "m", .can_insert = true};
  const ModelFacts thinker{.name = "m", .template_text = "<think>", .can_think = true};
  EXPECT_EQ(plan(R"({"prompt":"a","raw":true})", plain).request["prompt"], "a");
  EXPECT_EQ(plan(R"({"prompt":"a","suffix":"b"})", plain).path, "/infill");
  EXPECT_EQ(plan(R"({"prompt":"a","images":["x"]})", plain).path, "/v1/chat/completions");
  EXPECT_EQ(plan(R"({"prompt":"a"})", thinker).path, "/v1/chat/completions");
  EXPECT_EQ(plan(R"({"prompt":"a","context":[1]})", thinker).path, "/completion");
  EXPECT_TRUE(plan(R"({"prompt":"a"})", plain).tells_context);
  EXPECT_EQ(plan(R"({"prompt":"a","system":"s "})", plain).text, "s a");
  EXPECT_EQ(plan(R"({"prompt":"a","template":"<{{ .Prompt }}>"})", thinker).text, "<a>");
}

TEST(GenerateRequest, RefusesWhatExcludesEachOther) {
  const ModelFacts model{.name = "m"};
  for (const char* body :
       {R"({"prompt":"a","raw":true,"system":"s"})", R"({"prompt":"a","suffix":"b"})",
        R"({"prompt":1})", R"({"prompt":"a","context":"x"})",
        R"({"prompt":"a","template":"{{ range .Messages }}{{ end }}"})"}) {
    EXPECT_FALSE(plan_generate(Json::parse(body), model).ok()) << body;
  }
}

TEST(GenerateRequest, APromptIsContextTemplateAndTokens) {
  GeneratePlan made =
      plan(R"({"prompt":"a","context":[5,6]})", {.name = "m", .template_text = "t"});
  std::vector<std::string> asked;
  const auto ask = [&](Exchange::Request request) -> WholeAnswer {
    asked.push_back(request.path);
    if (request.path == "/apply-template") return {200, "", R"({"prompt":"<a>"})"};
    EXPECT_EQ(Json::parse(request.body),
              (Json{{"content", "<a>"}, {"add_special", false}, {"parse_special", true}}));
    return {200, "", R"({"tokens":[7]})"};
  };
  const Result<std::vector<int>> tokens = make_prompt(made, ask);
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(*tokens, (std::vector<int>{5, 6, 7}));
  EXPECT_EQ(asked, (std::vector<std::string>{"/apply-template", "/tokenize"}));
  EXPECT_EQ(made.request["prompt"], (Json{5, 6, 7}));
  EXPECT_FALSE(make_prompt(made, [](const Exchange::Request&) { return WholeAnswer(); }).ok());
}

TEST(Embeddings, AreCutAndOfLengthOneAgain) {
  EXPECT_FALSE(embed_request(Json::parse(R"({"input":[1]})")).ok());
  EmbedAnswer answer({.model = "m", .dimensions = 2});
  EXPECT_EQ(answer.on_data(R"({"data":[{"embedding":[0.6,0.0,)"), "");
  EXPECT_EQ(answer.on_data(R"(0.8]}],"usage":{"prompt_tokens":3}})"), "");
  const Json json = Json::parse(answer.on_end());
  EXPECT_EQ(json["embeddings"], (Json::parse("[[1.0,0.0]]")));
  EXPECT_EQ(json["prompt_eval_count"], 3);
}

TEST(KeepAlive, IsANumberOrATime) {
  EXPECT_EQ(*keep_alive_seconds(Json(0)), 0);
  EXPECT_EQ(*keep_alive_seconds(Json("10m")), 600);
  EXPECT_LT(*keep_alive_seconds(Json(-1)), 0);
  EXPECT_FALSE(keep_alive_seconds(Json("soon")).ok());
}

}  // namespace
}  // namespace hypura::ollama
