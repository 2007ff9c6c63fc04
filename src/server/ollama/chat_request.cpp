#include "server/ollama/chat_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "nlohmann/json.hpp"

namespace hypura::ollama {
namespace {

constexpr int kTopLogprobsMax = 20;

Status wrong(const std::string& message) { return Status(StatusCode::invalid_argument, message); }

// Of a field that may be missing or null.
Result<std::string> text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return wrong(fmt::format("{} must be a string", key));
  return found->get<std::string>();
}

// What an image is, by its first bytes in base64.
const char* image_type(std::string_view base64) {
  if (base64.starts_with("/9j/")) return "image/jpeg";
  if (base64.starts_with("R0lG")) return "image/gif";
  if (base64.starts_with("UklG")) return "image/webp";
  return "image/png";
}

// Templates match calls and results by ids, which Ollama's clients may leave out: a result then
// answers the first open call of its name, or the first.
class CallIds {
 public:
  std::string add(const Json& call, const Json& name) {
    std::string id = fmt::format("call_{}", count_++);
    if (call.contains("id") && call["id"].is_string()) id = call["id"];
    open_.emplace_back(id, name);
    return id;
  }
  // Empty: no call is open.
  std::string take(const Json& name) {
    if (open_.empty()) return std::string();
    auto found = std::find_if(open_.begin(), open_.end(),
                              [&](const auto& call) { return call.second == name; });
    if (found == open_.end()) found = open_.begin();
    std::string id = std::move(found->first);
    open_.erase(found);
    return id;
  }

 private:
  int count_ = 0;  // of all messages
  std::deque<std::pair<std::string, Json>> open_;
};

// Ollama's arguments are an object, OpenAI's a text.
Result<Json> tool_calls(const Json& calls, CallIds& ids) {
  Json out = Json::array();
  if (!calls.is_array()) return wrong("tool_calls must be an array");
  for (const Json& call : calls) {
    const Json function = call.is_object() ? call.value("function", Json()) : Json();
    if (!function.is_object() || !function.contains("name")) {
      return wrong("tool_calls: a function with a name is required");
    }
    const Json arguments = function.value("arguments", Json::object());
    out.push_back({{"id", ids.add(call, function["name"])},
                   {"type", "function"},
                   {"function",
                    {{"name", function["name"]},
                     {"arguments", arguments.is_string() ? arguments.get<std::string>()
                                                         : arguments.dump()}}}});
  }
  return out;
}

Result<Json> message_of(const Json& message, CallIds& ids) {
  if (!message.is_object()) return wrong("messages must be objects");
  const Result<std::string> role = text_at(message, "role");
  const Result<std::string> content = text_at(message, "content");
  const Result<std::string> thinking = text_at(message, "thinking");
  for (const auto* text : {&role, &content, &thinking}) {
    if (!text->ok()) return text->status();
  }
  if (role->empty()) return wrong("messages: a role is required");
  Result<Json> out = user_message(*content, message.value("images", Json()));
  if (!out.ok()) return out;
  (*out)["role"] = *role;
  if (!thinking->empty()) (*out)["reasoning_content"] = *thinking;
  if (message.contains("tool_calls") && !message["tool_calls"].is_null()) {
    const Result<Json> calls = tool_calls(message["tool_calls"], ids);
    if (!calls.ok()) return calls.status();
    if (!calls->empty()) (*out)["tool_calls"] = *calls;
  }
  if (message.contains("tool_name")) (*out)["name"] = message["tool_name"];
  if (message.contains("tool_call_id")) {
    (*out)["tool_call_id"] = message["tool_call_id"];
  } else if (*role == "tool") {
    const std::string id = ids.take(message.value("tool_name", Json()));
    if (!id.empty()) (*out)["tool_call_id"] = id;
  }
  return out;
}

Status take_format(const Json& format, Json& request) {
  if (format.is_null() || format == "") return Status();
  if (format == "json") {
    request["response_format"] = {{"type", "json_object"}};
    return Status();
  }
  if (!format.is_object()) return wrong("invalid format: expected \"json\" or a JSON schema");
  request["response_format"] = {{"type", "json_schema"},
                                {"json_schema", {{"name", "answer"}, {"schema", format}}}};
  return Status();
}

Status take_think(const Json& think, Json& request) {
  if (think.is_null()) return Status();
  if (think.is_boolean()) {
    request["chat_template_kwargs"] = {{"enable_thinking", think}};
    return Status();
  }
  if (think == "low" || think == "medium" || think == "high") {
    request["chat_template_kwargs"] = {{"enable_thinking", true}, {"reasoning_effort", think}};
    return Status();
  }
  return wrong(
      fmt::format("invalid think value: {} (must be \"high\", \"medium\", \"low\", true, or "
                  "false)",
                  think.dump()));
}

}  // namespace

Result<Json> user_message(const std::string& text, const Json& images) {
  if (images.is_null() || images.empty()) return Json{{"role", "user"}, {"content", text}};
  if (!images.is_array()) return wrong("images must be an array");
  Json parts = Json::array();
  for (const Json& image : images) {
    if (!image.is_string()) return wrong("images must be base64 texts");
    const std::string& base64 = image.get_ref<const std::string&>();
    const std::string url = base64.starts_with("data:")
                                ? base64
                                : fmt::format("data:{};base64,{}", image_type(base64), base64);
    parts.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
  }
  parts.push_back({{"type", "text"}, {"text", text}});
  return Json{{"role", "user"}, {"content", parts}};
}

Result<int> top_logprobs(const Json& body) {
  const Json top = body.value("top_logprobs", Json());
  if (top.is_null()) return 0;
  if (!top.is_number_integer() || top < 0 || top > kTopLogprobsMax) {
    return wrong(fmt::format("top_logprobs must be between 0 and {}", kTopLogprobsMax));
  }
  return top.get<int>();
}

Status take_common(const Json& body, Json& request) {
  if (Status status = take_options(body.value("options", Json()), request); !status.ok()) {
    return status;
  }
  if (Status status = take_format(body.value("format", Json()), request); !status.ok()) {
    return status;
  }
  if (Status status = take_think(body.value("think", Json()), request); !status.ok()) return status;
  const Result<int> top = top_logprobs(body);
  if (!top.ok()) return top.status();
  if (body.value("logprobs", Json()) == true) {
    // Not "logprobs", which llama.cpp refuses beside tools; and without alternatives it gives none.
    request["n_probs"] = std::max(1, *top);
  }
  request["stream"] = true;
  return Status();
}

Result<Json> chat_request(const Json& body) {
  Json request;
  if (Status status = take_common(body, request); !status.ok()) return status;
  const Json messages = body.value("messages", Json::array());
  if (!messages.is_array()) return wrong("messages must be an array");
  request["messages"] = Json::array();
  CallIds ids;
  for (const Json& message : messages) {
    Result<Json> taken = message_of(message, ids);
    if (!taken.ok()) return taken.status();
    request["messages"].push_back(*std::move(taken));
  }
  if (body.contains("tools") && !body["tools"].is_null()) {
    if (!body["tools"].is_array()) return wrong("tools must be an array");
    if (body["tools"].empty()) return request;
    request["tools"] = body["tools"];
    for (Json& tool : request["tools"]) {
      if (!tool.is_object()) return wrong("tools must be objects");
      if (tool.value("type", Json()).is_null()) tool["type"] = "function";
    }
  }
  return request;
}

}  // namespace hypura::ollama
