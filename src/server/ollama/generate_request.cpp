#include "server/ollama/generate_request.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "nlohmann/json.hpp"
#include "server/json_text.h"
#include "server/ollama/chat_request.h"
#include "server/ollama/template.h"

namespace hypura::ollama {
namespace {

Status wrong(const std::string& message) { return Status(StatusCode::invalid_argument, message); }

Result<std::string> text_at(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null()) return std::string();
  if (!found->is_string()) return wrong(fmt::format("{} must be a string", key));
  return found->get<std::string>();
}

struct Texts {
  std::string prompt;
  std::string suffix;
  std::string system;
  std::string template_text;
};

Result<Texts> texts_of(const Json& body) {
  Texts texts;
  const std::pair<const char*, std::string*> fields[] = {{"prompt", &texts.prompt},
                                                         {"suffix", &texts.suffix},
                                                         {"system", &texts.system},
                                                         {"template", &texts.template_text}};
  for (const auto& [key, text] : fields) {
    Result<std::string> found = text_at(body, key);
    if (!found.ok()) return found.status();
    *text = *std::move(found);
  }
  return texts;
}

Result<std::vector<int>> context_of(const Json& body) {
  std::vector<int> context;
  const Json given = body.value("context", Json());
  if (given.is_null()) return context;
  if (!given.is_array()) return wrong("context must be an array of tokens");
  for (const Json& token : given) {
    if (!token.is_number_integer()) return wrong("context must be an array of tokens");
    context.push_back(token.get<int>());
  }
  return context;
}

// What /completion and /infill call by another name than /v1/chat/completions.
void become_completion(Json& request) {
  if (request.contains("response_format")) {
    const Json format = request["response_format"];
    request["json_schema"] = format["type"] == "json_object" ? Json{{"type", "object"}}
                                                             : format["json_schema"]["schema"];
    request.erase("response_format");
  }
  request["return_tokens"] = true;
}

Json messages_of(const Texts& texts, const Json& user) {
  Json messages = Json::array();
  if (!texts.system.empty()) {
    messages.push_back({{"role", "system"}, {"content", texts.system}});
  }
  messages.push_back(user);
  return messages;
}

}  // namespace

Result<GeneratePlan> plan_generate(const Json& body, const ModelFacts& model) {
  Result<Texts> texts = texts_of(body);
  if (!texts.ok()) return texts.status();
  GeneratePlan plan;
  if (Status status = take_common(body, plan.request); !status.ok()) return status;
  Result<std::vector<int>> context = context_of(body);
  if (!context.ok()) return context.status();
  plan.context = *std::move(context);
  const Json raw = body.value("raw", Json(false));
  if (raw == true && (!texts->system.empty() || !texts->template_text.empty() ||
                      !plan.context.empty())) {
    return wrong("raw mode does not support template, system, or context");
  }
  Result<Json> user = user_message(texts->prompt, body.value("images", Json()));
  if (!user.ok()) return user.status();

  const bool images = (*user)["content"].is_array();
  const Json think = body.value("think", Json());
  const bool asks_to_think = !think.is_null() && think != false;
  // What is only possible in a chat, which is what tells thoughts apart and reads images.
  const char* const text_only = raw == true                     ? "raw"
                                : !texts->template_text.empty() ? "template"
                                : !plan.context.empty()         ? "context"
                                : !texts->suffix.empty()        ? "suffix"
                                                                : nullptr;
  if (text_only != nullptr && (images || asks_to_think)) {
    return wrong(fmt::format("{} cannot be used with {}", images ? "images" : "think", text_only));
  }

  if (!texts->suffix.empty() && texts->template_text.empty()) {
    if (!model.can_insert) return wrong(fmt::format("{} does not support insert", model.name));
    plan.way = GeneratePlan::Way::infill;
    plan.path = "/infill";
    become_completion(plan.request);
    plan.request["input_prefix"] = texts->prompt;
    plan.request["input_suffix"] = texts->suffix;
    return plan;
  }
  if (images || ((model.can_think || asks_to_think) && text_only == nullptr)) {
    plan.way = GeneratePlan::Way::chat;
    plan.path = "/v1/chat/completions";
    plan.request["messages"] = messages_of(*texts, *user);
    return plan;
  }
  plan.path = "/completion";
  become_completion(plan.request);
  if (raw == true) {
    plan.request["prompt"] = texts->prompt;
    return plan;
  }
  plan.tells_context = true;
  if (!texts->template_text.empty()) {
    Result<std::string> text = render_template(texts->template_text, {{"System", texts->system},
                                                                      {"Prompt", texts->prompt},
                                                                      {"Suffix", texts->suffix}});
    if (!text.ok()) return text.status();
    plan.text = *std::move(text);
  } else if (model.template_text.empty()) {
    plan.text = texts->system + texts->prompt;
  } else {
    plan.messages = messages_of(*texts, *user);
    // It would stand in the text.
    if (model.can_think) plan.request["chat_template_kwargs"]["enable_thinking"] = false;
  }
  return plan;
}

Result<std::vector<int>> make_prompt(GeneratePlan& plan, const AskModel& ask) {
  const auto post = [&](const char* path, const Json& body, const char* key) -> Result<Json> {
    const WholeAnswer answer = ask({.path = path, .body = json_text(body)});
    const Json json = Json::parse(answer.body, nullptr, false);
    if (answer.status == 200 && json.is_object() && json.contains(key)) return json[key];
    return Status(StatusCode::failed, fmt::format("the prompt cannot be made: {}", answer.body));
  };
  if (!plan.messages.is_null()) {
    Json request = {{"messages", plan.messages}};
    if (plan.request.contains("chat_template_kwargs")) {
      request["chat_template_kwargs"] = plan.request["chat_template_kwargs"];
    }
    const Result<Json> text = post("/apply-template", request, "prompt");
    if (!text.ok()) return text.status();
    plan.text = text->get<std::string>();
  }
  const Result<Json> tokens =
      post("/tokenize",
           {{"content", plan.text}, {"add_special", plan.context.empty()}, {"parse_special", true}},
           "tokens");
  if (!tokens.ok()) return tokens.status();
  std::vector<int> prompt = plan.context;
  for (const Json& token : *tokens) prompt.push_back(token.get<int>());
  plan.request["prompt"] = prompt;
  return prompt;
}

}  // namespace hypura::ollama
