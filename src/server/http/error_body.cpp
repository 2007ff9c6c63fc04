#include "server/http/error_body.h"

#include <fmt/format.h>

#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

// As OpenAI and llama.cpp's server name them.
const char* type_of(int http_code) {
  switch (http_code) {
    case 400: case 411: case 413: case 414: case 415: return "invalid_request_error";
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: case 405: return "not_found_error";
    case 429: return "rate_limit_error";
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return "server_error";
  }
}

const char* anthropic_type_of(int http_code) {
  switch (http_code) {
    case 500: case 502: return "api_error";
    case 503: return "overloaded_error";
    default: return type_of(http_code);
  }
}

}  // namespace

std::string error_body(Protocol protocol, int http_code, std::string_view message) {
  Json body;
  switch (protocol) {
    case Protocol::openai:
      body = {{"error",
               {{"code", http_code}, {"message", message}, {"type", type_of(http_code)}}}};
      break;
    case Protocol::anthropic:
      body = {{"type", "error"},
              {"error", {{"type", anthropic_type_of(http_code)}, {"message", message}}}};
      break;
    case Protocol::ollama: body = {{"error", message}}; break;
  }
  return json_text(body);
}

std::string one_line(const Status& status) {
  std::string text = status.message();
  if (!status.why().empty()) text += fmt::format(" ({})", status.why());
  if (!status.hint().empty()) text += fmt::format("; try: {}", status.hint());
  return text;
}

}  // namespace hypura
