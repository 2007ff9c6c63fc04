#include <fmt/format.h>
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
  EXPECT_EQ(request["repeat_penalty"], 1.0);
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

TEST(ChatRequest, AdaptsWhatLlamaCppRefuses) {
  const auto options = [](const std::string& text) {
    return chat(("{\"messages\":[],\"options\":" + text + "}").c_str());
  };
  EXPECT_EQ(options(R"({"repeat_last_n":-1})")["repeat_last_n"], 1 << 20);
  EXPECT_EQ(options(R"({"num_keep":-2})")["n_keep"], -1);
  EXPECT_EQ(options(R"({"num_predict":0})")["n_predict"], -1);
  EXPECT_EQ(options(R"({"num_predict":5.0})")["n_predict"], 5);
  EXPECT_EQ(options(R"({"seed":1e300})"), "option \"seed\" must be of type integer");
}

TEST(ChatRequest, LogprobsComeWithOrWithoutAlternatives) {
  EXPECT_EQ(chat(R"({"messages":[],"logprobs":true})")["n_probs"], 1);
  EXPECT_EQ(chat(R"({"messages":[],"logprobs":true,"top_logprobs":null})")["n_probs"], 1);
  const Json request = chat(R"({"messages":[],"logprobs":true,"top_logprobs":7})");
  EXPECT_EQ(request["n_probs"], 7);
  EXPECT_FALSE(request.contains("logprobs"));
  EXPECT_FALSE(chat(R"({"messages":[],"top_logprobs":7})").contains("n_probs"));
  EXPECT_TRUE(chat(R"({"messages":[],"top_logprobs":21})").is_string());
}

TEST(ChatRequest, ResultsOfToolsAnswerCallsByName) {
  const Json messages = chat(R"({"messages":[
      {"role":"assistant","tool_calls":[{"function":{"name":"f"}},
                                        {"id":"x","function":{"name":"g"}}]},
      {"role":"tool","tool_name":"g","content":"1"},{"role":"tool","content":"2"},
      {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
      {"role":"tool","tool_call_id":"own","content":"3"}],
      "tools":[{"function":{"name":"f"}}]})")["messages"];
  EXPECT_EQ(messages[0]["tool_calls"][0]["id"], "call_0");
  EXPECT_EQ(messages[1]["tool_call_id"], "x");
  EXPECT_EQ(messages[2]["tool_call_id"], "call_0");
  EXPECT_NE(messages[3]["tool_calls"][0]["id"], "call_0");
  EXPECT_EQ(messages[4]["tool_call_id"], "own");
  EXPECT_EQ(chat(R"({"messages":[],"tools":[{"function":{}}]})")["tools"][0]["type"], "function");
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

TEST(GenerateRequest, NothingIsLeftOutInSilence) {
  const ModelFacts model{.name = "m", .can_think = true, .can_insert = true};
  for (const char* way : {R"("raw":true)", R"("template":"{{ .Prompt }}")", R"("context":[1])",
                          R"("suffix":"b")"}) {
    for (const char* chats_only : {R"("images":["x"])", R"("think":true)"}) {
      const std::string body = fmt::format(R"({{"prompt":"a",{},{}}})", way, chats_only);
      EXPECT_FALSE(plan_generate(Json::parse(body), model).ok()) << body;
    }
  }
  const char* const infill =
      R"({"prompt":"a","suffix":"b","template":"<{{ .Prompt }}|{{ .Suffix }}>"})";
  EXPECT_EQ(plan(infill, model).text, "<a|b>");
  const ModelFacts thinker{.name = "m", .template_text = "<think>", .can_think = true};
  EXPECT_EQ(plan(R"({"prompt":"a","context":[1]})", thinker)
                .request["chat_template_kwargs"]["enable_thinking"],
            false);
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

TEST(Embeddings, TextsAreCutToTheContext) {
  std::vector<std::string> asked;
  const auto ask = [&](const Exchange::Request& request) -> WholeAnswer {
    asked.push_back(request.method + " " + request.path);
    if (request.path == "/props") {
      return {200, "", R"({"default_generation_settings":{"n_ctx":9}})"};
    }
    const bool is_long = Json::parse(request.body)["content"] == "long text";
    return {200, "", is_long ? R"({"tokens":[1,2,3,4,5,6,7,8,9]})" : R"({"tokens":[1,2]})"};
  };
  EXPECT_EQ(fit_input(Json{{"input", {"a", "long text", "short"}}}, ask)["input"],
            Json::parse(R"(["a",[1,2,3,4,5,6,7,8],"short"])"));
  EXPECT_EQ(asked,
            (std::vector<std::string>{"GET /props", "POST /tokenize", "POST /tokenize"}));
  EXPECT_EQ(fit_input(Json{{"input", "long text"}}, ask)["input"],
            Json::parse("[[1,2,3,4,5,6,7,8]]"));
  EXPECT_EQ(fit_input(Json{{"input", "short"}}, ask)["input"], "short");
  const auto silent = [](const Exchange::Request&) { return WholeAnswer(); };
  EXPECT_EQ(fit_input(Json{{"input", "long text"}}, silent)["input"], "long text");
}

TEST(KeepAlive, IsANumberOrATime) {
  EXPECT_EQ(*keep_alive_seconds(Json(0)), 0);
  EXPECT_EQ(*keep_alive_seconds(Json("10m")), 600);
  EXPECT_LT(*keep_alive_seconds(Json(-1)), 0);
  EXPECT_FALSE(keep_alive_seconds(Json("soon")).ok());
}

}  // namespace
}  // namespace hypura::ollama
