#include "server/ollama/embeddings.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/clock.h"
#include "nlohmann/json.hpp"

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
