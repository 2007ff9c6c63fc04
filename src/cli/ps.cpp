#include "cli/ps.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/terminal.h"
#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"

namespace hypura::cli {
namespace {

using Json = nlohmann::json;

constexpr size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

struct Words {
  std::string url = "http://127.0.0.1:8080";
  std::string api_key;
  bool json = false;
};

CommandLine line_for(Words& words) {
  CommandLine line("ps", "Lists the models that a server has loaded, and where their weights are.");
  line.option("--url", words.url, "of the server (default: http://127.0.0.1:8080)", "URL");
  line.option("--api-key", words.api_key, "key that the server wants");
  line.flag("--json", words.json, "print what the server says of itself");
  return line;
}

std::string bytes_in(const Json& state, const char* key) {
  const uint64_t bytes = state.value(key, uint64_t{0});
  return bytes == 0 ? "-" : format_bytes(bytes);
}

std::string until(const Json& model) {
  if (model.value("active", 0) > 0) return "busy";
  const Json& seconds = model.at("expires_seconds");
  if (!seconds.is_number()) return "for good";
  const auto left = static_cast<int64_t>(std::llround(seconds.get<double>()));
  return left < 60 ? fmt::format("{} s", left) : fmt::format("{} min", (left + 30) / 60);
}

Row row_of(const Json& model) {
  const Json& state = model.at("state");
  Row row;
  row.fill("-");
  row[0] = model.at("name").get<std::string>();
  row[1] = model.at("status").get<std::string>();
  if (!state.is_object()) return row;
  row[2] = bytes_in(state, "gpu_bytes");
  const uint64_t ram = state.value("pinned_bytes", uint64_t{0}) +
                       state.value("cached_bytes", uint64_t{0});
  row[3] = ram == 0 ? "-" : format_bytes(ram);
  row[4] = bytes_in(state, "streamed_bytes");
  row[5] = std::to_string(state.value("context", 0));
  const Json predicted = state.value("predicted_decode_tps", Json());
  if (predicted.is_number()) row[6] = fmt::format("{:.1f} tok/s", predicted.get<double>());
  row[7] = until(model);
  return row;
}

}  // namespace

Result<std::string> ps_table(const std::string& status_json) {
  std::vector<Row> rows = {
      {"NAME", "STATUS", "GPU", "RAM", "DRIVE", "CONTEXT", "PREDICTED", "UNTIL"}};
  try {
    const Json status = Json::parse(status_json);
    for (const Json& model : status.at("models")) rows.push_back(row_of(model));
  } catch (const Json::exception&) {
    return Status(StatusCode::failed, "what answers there is no hypura server");
  }
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line;
    text += '\n';
  }
  return text;
}

CommandDescription describe_ps() {
  Words words;
  return line_for(words).description();
}

Status ps(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  httplib::Client client(words.url);
  if (!client.is_valid()) {
    return Status(StatusCode::invalid_argument, fmt::format("--url {}: no address", words.url))
        .suggest("http://HOST:PORT");
  }
  if (!words.api_key.empty()) client.set_bearer_token_auth(words.api_key);
  const httplib::Result answer = client.Get("/hypura/status");
  if (!answer) {
    return Status(StatusCode::failed, fmt::format("no server answers at {}: {}", words.url,
                                                  httplib::to_string(answer.error())))
        .suggest("hypura serve MODEL, or --url URL");
  }
  if (answer->status != 200) {
    return Status(StatusCode::failed,
                  fmt::format("{} answers with {}", words.url, answer->status))
        .suggest(answer->status == 401 ? "--api-key KEY" : "another --url");
  }
  if (words.json) return write_answer(answer->body + "\n") ? Status() : write_failure();
  const Result<std::string> table = ps_table(answer->body);
  if (!table.ok()) return table.status();
  return write_answer(*table) ? Status() : write_failure();
}

}  // namespace hypura::cli
