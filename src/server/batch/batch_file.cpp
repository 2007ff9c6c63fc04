#include "server/batch/batch_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/hash.h"
#include "base/replace_file.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSuccess = 200;

Status bad_line(const std::string& path, size_t line, const std::string& what) {
  return Status(StatusCode::invalid_argument, fmt::format("{} line {}: {}", path, line, what))
      .suggest(R"({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", )"
               R"("body": {"messages": [{"role": "user", "content": "Hello"}]}})");
}

Json parse(const std::string& text) { return Json::parse(text, nullptr, false); }

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The custom_id of a line that holds a success; empty for any other.
std::string answered_id(const Json& line) {
  const auto response = line.find("response");
  if (response == line.end() || !response->is_object()) return std::string();
  const auto code = response->find("status_code");
  if (code == response->end() || !code->is_number() || *code != kSuccess) return std::string();
  return text_of(line, "custom_id");
}

Status cannot_read(const std::string& path) {
  return Status(StatusCode::failed, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::vector<BatchRequest>> read_batch(const std::string& path) {
  std::ifstream file(path);
  if (!file) return cannot_read(path);
  std::vector<BatchRequest> requests;
  std::unordered_set<std::string> ids;
  std::string text;
  for (size_t line = 1; std::getline(file, text); ++line) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json json = parse(text);
    if (!json.is_object()) return bad_line(path, line, "not a JSON object");
    BatchRequest request{.line = line,
                         .custom_id = text_of(json, "custom_id"),
                         .url = text_of(json, "url"),
                         .model = std::string(),
                         .body = std::string()};
    if (request.custom_id.empty()) return bad_line(path, line, "it has no custom_id");
    if (!ids.insert(request.custom_id).second) {
      return bad_line(path, line, fmt::format("custom_id {} came before", request.custom_id));
    }
    if (text_of(json, "method") != "POST") return bad_line(path, line, "its method is not POST");
    if (request.url.empty()) return bad_line(path, line, "it has no url");
    const auto body = json.find("body");
    if (body == json.end() || !body->is_object()) return bad_line(path, line, "it has no body");
    Json asked = *body;
    asked.erase("stream");  // an answer is one line
    asked.erase("stream_options");
    request.model = text_of(asked, "model");
    request.body = json_text(asked);
    requests.push_back(std::move(request));
  }
  if (file.bad()) return cannot_read(path);
  return requests;
}

std::string answer_line(const BatchRequest& request, const BatchAnswer& answer) {
  Fnv1a hash;
  hash.add(request.custom_id);
  const Json body = parse(answer.body);
  const std::string id = fmt::format("batch_req_{:016x}", hash.value());
  const std::string request_id = body.is_object() ? text_of(body, "id") : std::string();
  const Json line = {
      {"id", id},
      {"custom_id", request.custom_id},
      {"response",
       {{"status_code", answer.status_code},
        {"request_id", request_id.empty() ? id : request_id},
        {"body", body.is_discarded() ? Json(answer.body) : body}}},
      {"error", nullptr},
  };
  return json_text(line) + "\n";
}

Result<std::unordered_set<std::string>> keep_answered(const std::string& path) {
  std::unordered_set<std::string> answered;
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return answered;
    return cannot_read(path);
  }
  std::string kept;
  std::string text;
  for (size_t line = 1; std::getline(file, text); ++line) {
    const Json json = parse(text);
    // A run that was killed leaves half a line.
    if (json.is_discarded() && file.eof()) break;
    if (!json.is_object() || !json.contains("custom_id")) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("{} line {} is no answer of a batch", path, line))
          .suggest("another file for -o, or remove this one");
    }
    const std::string id = answered_id(json);
    if (!id.empty() && answered.insert(id).second) kept += text + "\n";
  }
  if (const std::error_code error = replace_file(path, kept)) {
    return Status(StatusCode::failed, fmt::format("cannot write {}: {}", path, error.message()));
  }
  return answered;
}

}  // namespace hypura
