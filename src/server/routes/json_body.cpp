#include <fmt/format.h>

#include <algorithm>

#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"
#include "server/proxy.h"
#include "server/routes/service.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

// Beyond, code that follows values by recursion runs out of stack.
constexpr int kDepthMax = 200;

// How deep arrays and objects of a text lie in each other.
int depth_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

std::optional<Json> json_body(const httplib::Request& request, httplib::Response& response,
                              Protocol protocol) {
  if (request.body.empty()) {
    answer_error(response, protocol, 400, "missing request body");
    return std::nullopt;
  }
  if (depth_of(request.body) > kDepthMax) {
    answer_error(response, protocol, 400,
                 fmt::format("the body is nested deeper than {} levels", kDepthMax));
    return std::nullopt;
  }
  try {
    Json body = Json::parse(request.body);
    if (body.is_object()) return body;
    answer_error(response, protocol, 400,
                 fmt::format("the body must be a JSON object, and is of type {}",
                             body.type_name()));
  } catch (const Json::parse_error& error) {
    answer_error(response, protocol, 400,
                 fmt::format("the body is no JSON: it goes wrong at byte {} of {}", error.byte,
                             request.body.size()));
  } catch (const Json::exception& error) {
    answer_error(response, protocol, 400, fmt::format("the body cannot be read: {}", error.what()));
  }
  return std::nullopt;
}

std::optional<std::string> model_in(const Json& body, const Service& service,
                                    httplib::Response& response, Protocol protocol) {
  const auto named = body.find("model");
  if (named == body.end() || named->is_null()) {
    if (!service.default_model.empty()) return service.default_model;
    answer_error(response, protocol, 400, "model is required");
    return std::nullopt;
  }
  if (!named->is_string() || named->get_ref<const std::string&>().empty()) {
    answer_error(response, protocol, 400, "model must be a name");
    return std::nullopt;
  }
  return named->get<std::string>();
}

}  // namespace hypura
