#include "server/ollama/embeddings.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura::ollama {
namespace {

Status wrong(const char* message) { return Status(StatusCode::invalid_argument, message); }

// The first `dimensions`, of length 1 again.
std::vector<double> cut(std::vector<double> values, size_t dimensions) {
  if (dimensions == 0 || dimensions >= values.size()) return values;
  values.resize(dimensions);
  double squares = 0;
  for (const double value : values) squares += value * value;
  if (squares > 0) {
    for (double& value : values) value /= std::sqrt(squares);
  }
  return values;
}

// The member of a success, or null.
Json asked_for(const AskModel& ask, const Exchange::Request& request, const char* key) {
  const WholeAnswer answer = ask(request);
  const Json json = answer.status == 200 ? Json::parse(answer.body, nullptr, false) : Json();
  return json.is_object() ? json.value(key, Json()) : Json();
}

// Tokens that llama.cpp takes, which are fewer than its context has; 0: not known.
size_t tokens_max(const AskModel& ask) {
  const Json settings =
      asked_for(ask, {.method = "GET", .path = "/props"}, "default_generation_settings");
  const Json context = settings.is_object() ? settings.value("n_ctx", Json()) : Json();
  if (!context.is_number_unsigned()) return 0;
  return std::max<size_t>(context.get<size_t>(), 1) - 1;
}

}  // namespace

Result<Json> embed_request(const Json& body) {
  const Json input = body.value("input", Json());
  const bool texts =
      input.is_array() &&
      std::all_of(input.begin(), input.end(), [](const Json& one) { return one.is_string(); });
  if (!input.is_string() && !texts) return wrong("invalid input type");
  return Json{{"input", input}};
}

Result<Json> embeddings_request(const Json& body) {
  const Json prompt = body.value("prompt", Json(""));
  if (!prompt.is_string()) return wrong("prompt must be a string");
  return Json{{"input", prompt}};
}

Json fit_input(Json request, const AskModel& ask) {
  Json texts = request["input"].is_array() ? request["input"] : Json::array({request["input"]});
  const size_t most = tokens_max(ask);
  bool is_cut = false;
  for (Json& text : texts) {
    // A token is a byte or more, beside the few that a model puts around them.
    constexpr size_t kAround = 4;
    if (most == 0 || text.get_ref<const std::string&>().size() + kAround <= most) continue;
    const Json body = {{"content", text}, {"add_special", true}, {"parse_special", true}};
    Json tokens = asked_for(ask, {.path = "/tokenize", .body = json_text(body)}, "tokens");
    if (!tokens.is_array() || tokens.size() <= most) continue;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(most), tokens.end());
    text = std::move(tokens);
    is_cut = true;
  }
  if (is_cut) request["input"] = std::move(texts);
  return request;
}

std::string EmbedAnswer::on_data(std::string_view data) {
  body_ += data;
  return std::string();
}

std::string EmbedAnswer::on_end() {
  const Json answer = Json::parse(body_, nullptr, false);
  Json vectors = Json::array();
  if (answer.is_object()) {
    for (const Json& one : answer.value("data", Json::array())) {
      vectors.push_back(cut(one.value("embedding", std::vector<double>()), frame_.dimensions));
    }
  }
  if (frame_.older) {
    return Json{{"embedding", vectors.empty() ? Json::array() : vectors[0]}}.dump();
  }
  const Json usage = answer.is_object() ? answer.value("usage", Json::object()) : Json::object();
  return Json{{"model", frame_.model},
              {"embeddings", vectors},
              {"total_duration", std::llround((now_seconds() - frame_.started_seconds) * 1e9)},
              {"load_duration", std::llround(frame_.load_seconds * 1e9)},
              {"prompt_eval_count", usage.value("prompt_tokens", 0)}}
      .dump();
}

std::string EmbedAnswer::on_failure(std::string_view message) {
  return Json{{"error", message}}.dump();
}

}  // namespace hypura::ollama
