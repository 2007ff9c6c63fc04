#include "server/ollama/answer.h"
#include "server/json_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <utility>

namespace hypura::ollama {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

int64_t nanoseconds(double seconds) {
  return static_cast<int64_t>(std::llround(seconds * static_cast<double>(kNanosecondsPerSecond)));
}

std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double number_in(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string message_of(const Json& error) {
  if (error.is_string()) return error.get<std::string>();
  return error.is_object() ? text_in(error, "message") : json_text(error);
}

// Both of llama.cpp's lists: OpenAI's `content`, and its own.
Json logprobs_of(const Json& event, int top_max) {
  const Json* list = nullptr;
  if (event.contains("completion_probabilities")) {
    list = &event["completion_probabilities"];
  } else if (event.contains("logprobs") && event["logprobs"].is_object()) {
    list = &event["logprobs"]["content"];
  }
  Json out = Json::array();
  if (list == nullptr || !list->is_array()) return out;
  const auto entry = [](const Json& of) {
    return Json{{"token", of.value("token", "")},
                {"logprob", of.value("logprob", Json(nullptr))},
                {"bytes", of.value("bytes", Json::array())}};
  };
  for (const Json& token : *list) {
    Json one = entry(token);
    const Json top = token.value("top_logprobs", Json::array());
    int left = top_max;
    for (const Json& other : top) {
      if (left-- <= 0) break;
      one["top_logprobs"].push_back(entry(other));
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string time_text(int64_t ns_since_1970) {
  const std::time_t seconds = ns_since_1970 / kNanosecondsPerSecond;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(seconds),
                     ns_since_1970 % kNanosecondsPerSecond);
}

std::string now_text() {
  return time_text(std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count());
}

std::string Answer::content_type() const {
  return frame_.stream ? "application/x-ndjson" : "application/json; charset=utf-8";
}

std::string Answer::on_data(std::string_view data) {
  std::string out;
  for (const std::string& event : events_.push(data)) {
    const Json json = Json::parse(event, nullptr, false);
    if (json.is_object() && error_.empty()) out += take(json);
  }
  return out;
}

std::string Answer::take(const Json& event) {
  if (event.contains("error")) return on_failure(message_of(event["error"]));
  if (event.contains("timings")) timings_ = event["timings"];
  if (event.contains("choices")) {
    if (event["choices"].empty()) return std::string();
    const Json& choice = event["choices"][0];
    const std::string finish = text_in(choice, "finish_reason");
    if (!finish.empty()) reason_ = finish == "length" ? "length" : "stop";
    return take_delta(choice.value("delta", Json::object()),
                      logprobs_of(choice, frame_.top_logprobs));
  }
  for (const Json& token : event.value("tokens", Json::array()))
    tokens_.push_back(token.get<int>());
  if (event.value("stop", false)) {
    reason_ = text_in(event, "stop_type") == "limit" ? "length" : "stop";
    token_count_ = event.value("tokens_predicted", size_t{0});
  }
  return say(text_in(event, "content"), std::string(), logprobs_of(event, frame_.top_logprobs));
}

std::string Answer::take_delta(const Json& delta, const Json& logprobs) {
  for (const Json& piece : delta.value("tool_calls", Json::array())) {
    ToolCall& call = calls_[piece.value("index", 0)];
    const Json function = piece.value("function", Json::object());
    call.id += text_in(piece, "id");
    call.name += text_in(function, "name");
    call.arguments += text_in(function, "arguments");
  }
  return say(text_in(delta, "content"), text_in(delta, "reasoning_content"), logprobs);
}

// A piece of the text; nothing where there is none, or all is said at the end.
std::string Answer::say(const std::string& text, const std::string& thinking,
                        const Json& logprobs) {
  if (text.empty() && thinking.empty() && logprobs.empty()) return std::string();
  if (!frame_.stream) {
    text_ += text;
    thinking_ += thinking;
    logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
    return std::string();
  }
  Json out = piece();
  out.update(text_fields(text, thinking));
  out["done"] = false;
  if (!logprobs.empty()) out["logprobs"] = logprobs;
  return json_text(out) + "\n";
}

Json Answer::piece() const { return {{"model", frame_.model}, {"created_at", now_text()}}; }

Json Answer::text_fields(const std::string& text, const std::string& thinking) const {
  if (frame_.kind == AnswerFrame::Kind::generate) {
    Json fields = {{"response", text}};
    if (!thinking.empty()) fields["thinking"] = thinking;
    return fields;
  }
  Json message = {{"role", "assistant"}, {"content", text}};
  if (!thinking.empty()) message["thinking"] = thinking;
  return {{"message", message}};
}

// Without a call that the end of the answer cut off: nobody should act on half of it.
Json Answer::tool_calls() const {
  Json calls = Json::array();
  for (const auto& [index, call] : calls_) {
    Json arguments = call.arguments.empty() ? Json::object()
                                            : Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) continue;
    Json entry = {{"function",
                   {{"index", index}, {"name", call.name}, {"arguments", std::move(arguments)}}}};
    if (!call.id.empty()) entry["id"] = call.id;
    calls.push_back(std::move(entry));
  }
  return calls;
}

Json Answer::last_piece() const {
  Json out = piece();
  out.update(text_fields(text_, thinking_));
  if (!frame_.stream && frame_.kind == AnswerFrame::Kind::chat) {
    Json calls = tool_calls();
    if (!calls.empty()) out["message"]["tool_calls"] = std::move(calls);
  }
  out["done"] = true;
  out["done_reason"] = reason_;
  if (!logprobs_.empty()) out["logprobs"] = logprobs_;
  if (frame_.tells_context && tokens_.size() == token_count_) {
    std::vector<int> context = frame_.prompt_tokens;
    context.insert(context.end(), tokens_.begin(), tokens_.end());
    out["context"] = context;
  }
  const double total =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - frame_.started).count();
  out["total_duration"] = nanoseconds(total);
  out["load_duration"] = nanoseconds(frame_.load_seconds);
  // The tokens of the prompt, wherever they came from; the time of those that were computed.
  out["prompt_eval_count"] =
      static_cast<int64_t>(number_in(timings_, "prompt_n") + number_in(timings_, "cache_n"));
  out["prompt_eval_duration"] = nanoseconds(number_in(timings_, "prompt_ms") / 1000);
  out["eval_count"] = static_cast<int64_t>(number_in(timings_, "predicted_n"));
  out["eval_duration"] = nanoseconds(number_in(timings_, "predicted_ms") / 1000);
  return out;
}

std::string Answer::on_end() {
  if (error_.empty() && reason_.empty()) {
    const std::string line = on_failure("the model's process broke off its answer");
    if (frame_.stream) return line;
  }
  if (!error_.empty()) {
    return frame_.stream ? std::string() : json_text({{"error", error_}});
  }
  std::string out;
  if (Json calls = tool_calls();
      frame_.stream && !calls.empty() && frame_.kind == AnswerFrame::Kind::chat) {
    Json line = piece();
    line.update(text_fields(std::string(), std::string()));
    line["message"]["tool_calls"] = std::move(calls);
    line["done"] = false;
    out = json_text(line) + "\n";
  }
  return out + json_text(last_piece()) + (frame_.stream ? "\n" : "");
}

std::string Answer::on_failure(std::string_view message) {
  error_ = message;
  return frame_.stream ? json_text({{"error", error_}}) + "\n" : std::string();
}

std::string done_at_once(AnswerFrame::Kind kind, const std::string& model, const char* reason) {
  Json out = {{"model", model}, {"created_at", now_text()}};
  if (kind == AnswerFrame::Kind::generate) {
    out["response"] = "";
  } else {
    out["message"] = {{"role", "assistant"}, {"content", ""}};
  }
  out["done"] = true;
  out["done_reason"] = reason;
  return json_text(out);
}

}  // namespace hypura::ollama
