#include "server/ollama/request_options.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include "nlohmann/json.hpp"
#include "server/seconds.h"

namespace hypura::ollama {
namespace {

enum class Type : uint8_t { integer, number };

struct Option {
  std::string_view name;  // Ollama's
  const char* theirs;     // llama.cpp's
  Type type;
};
constexpr std::array kOptions = std::to_array<Option>({
    {"temperature", "temperature", Type::number},
    {"top_k", "top_k", Type::integer},
    {"top_p", "top_p", Type::number},
    {"min_p", "min_p", Type::number},
    {"typical_p", "typical_p", Type::number},
    {"repeat_penalty", "repeat_penalty", Type::number},
    {"repeat_last_n", "repeat_last_n", Type::integer},
    {"presence_penalty", "presence_penalty", Type::number},
    {"frequency_penalty", "frequency_penalty", Type::number},
    {"mirostat", "mirostat", Type::integer},
    {"mirostat_tau", "mirostat_tau", Type::number},
    {"mirostat_eta", "mirostat_eta", Type::number},
    {"seed", "seed", Type::integer},
    {"num_keep", "n_keep", Type::integer},
    {"num_predict", "n_predict", Type::integer},
});

constexpr int kContextMax = 1 << 24;
// For repeat_last_n: more than contexts have; llama.cpp reserves 4 bytes for each.
constexpr int kAllTokens = 1 << 20;
constexpr double kWholeMax = 9e15;  // that a double tells apart

Status wrong_type(std::string_view name, const char* type) {
  return Status(StatusCode::invalid_argument,
                fmt::format("option \"{}\" must be of type {}", name, type));
}

Status take_option(const Option& option, const Json& value, Json& request) {
  if (option.type == Type::integer) {
    // Clients written in JavaScript have only one kind of number.
    const bool whole = value.is_number_integer() ||
                       (value.is_number_float() && std::abs(value.get<double>()) <= kWholeMax &&
                        value.get<double>() == static_cast<double>(value.get<int64_t>()));
    if (!whole) return wrong_type(option.name, "integer");
    request[option.theirs] = value.get<int64_t>();
    return Status();
  }
  if (!value.is_number()) return wrong_type(option.name, "float32");
  request[option.theirs] = value;
  return Status();
}

Status take_stop(const Json& stop, Json& request) {
  if (stop.is_string()) {
    request["stop"] = Json::array({stop});
    return Status();
  }
  if (!stop.is_array()) return wrong_type("stop", "array of strings");
  for (const Json& word : stop) {
    if (!word.is_string()) return wrong_type("stop", "array of strings");
  }
  request["stop"] = stop;
  return Status();
}

// What llama.cpp's server says otherwise, or refuses.
void adapt(Json& request) {
  // No limit (0 and -1) and until the context is full (-2) are one: a context does not move on.
  if (request["n_predict"] <= 0) request["n_predict"] = -1;
  if (request.contains("repeat_last_n") && request["repeat_last_n"] < 0) {
    request["repeat_last_n"] = kAllTokens;
  }
  if (request.contains("n_keep") && request["n_keep"] < 0) request["n_keep"] = -1;
}

}  // namespace

Status take_options(const Json& options, Json& request) {
  request["top_p"] = 0.9;
  request["min_p"] = 0.0;
  request["repeat_penalty"] = 1.0;
  request["n_predict"] = -1;
  if (options.is_null()) return Status();
  if (!options.is_object()) return wrong_type("options", "object");
  for (const Option& option : kOptions) {
    const auto found = options.find(option.name);
    if (found == options.end() || found->is_null()) continue;
    if (Status status = take_option(option, *found, request); !status.ok()) return status;
  }
  if (const auto stop = options.find("stop"); stop != options.end() && !stop->is_null()) {
    if (Status status = take_stop(*stop, request); !status.ok()) return status;
  }
  adapt(request);
  return Status();
}

Result<std::optional<int>> asked_context(const Json& options) {
  if (!options.is_object()) return std::optional<int>();
  const auto tokens = options.find("num_ctx");
  if (tokens == options.end() || tokens->is_null()) return std::optional<int>();
  if (!tokens->is_number_integer()) return wrong_type("num_ctx", "integer");
  const int64_t count = tokens->get<int64_t>();
  if (count == 0) return std::optional<int>();
  if (count < 0 || count > kContextMax) {
    return Status(
        StatusCode::invalid_argument,
        fmt::format("option \"num_ctx\": {} is not between 1 and {}", count, kContextMax));
  }
  return std::optional(static_cast<int>(count));
}

Result<double> keep_alive_seconds(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    const auto seconds = parse_seconds(value.get_ref<const std::string&>());
    if (seconds.has_value()) return *seconds;
  }
  return Status(StatusCode::invalid_argument,
                fmt::format("keep_alive: {} is no time", value.dump()));
}

}  // namespace hypura::ollama
