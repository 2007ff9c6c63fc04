#include "cli/store/model_words.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "model/printable.h"

namespace hypura::cli {
namespace {

constexpr size_t kIdDigits = 12;
constexpr int64_t kNsPerSecond = 1'000'000'000;

struct Unit {
  int64_t seconds;
  const char* name;
};
constexpr std::array kUnits = {Unit{365 * 86400, "year"}, Unit{30 * 86400, "month"},
                               Unit{7 * 86400, "week"},   Unit{86400, "day"},
                               Unit{3600, "hour"},        Unit{60, "minute"}};

const char* owner(ModelSource source) {
  switch (source) {
    case ModelSource::folder: return "hypura";
    case ModelSource::ollama: return "ollama";
    case ModelSource::hugging_face: return "hugging face";
  }
  return "";
}

}  // namespace

std::string time_ago(int64_t then_ns, int64_t now_ns) {
  const int64_t seconds = (now_ns - then_ns) / kNsPerSecond;
  for (const Unit& unit : kUnits) {
    const int64_t count = seconds / unit.seconds;
    if (count > 0) return fmt::format("{} {}{} ago", count, unit.name, count == 1 ? "" : "s");
  }
  return seconds < 0 ? "in the future" : "just now";
}

std::string models_table(const std::vector<StoredModel>& models, int64_t now_ns) {
  constexpr const char* kRow = "{:<{}}  {:<12}  {:>10}  {:<15}  {}\n";
  size_t width = 4;
  for (const StoredModel& model : models) width = std::max(width, printable(model.name).size());
  std::string text = fmt::format(kRow, "NAME", width, "ID", "SIZE", "MODIFIED", "OF");
  for (const StoredModel& model : models) {
    const std::string id = model.digest.empty() ? "-" : model.digest.substr(0, kIdDigits);
    text += fmt::format(kRow, printable(model.name), width, id, format_bytes(model.bytes),
                        time_ago(model.modified_ns, now_ns), owner(model.source));
  }
  return text;
}

nlohmann::ordered_json model_json(const StoredModel& model) {
  const std::chrono::sys_seconds modified{std::chrono::seconds(model.modified_ns / kNsPerSecond)};
  return {{"name", model.name},
          {"digest", model.digest},
          {"bytes", model.bytes},
          {"modified", fmt::format("{:%FT%TZ}", modified)},
          {"source", to_string(model.source)},
          {"path", model.path},
          {"projector_path", model.projector_path}};
}

int64_t wall_clock_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace hypura::cli
