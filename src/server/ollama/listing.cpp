#include "server/ollama/listing.h"

#include <fmt/format.h>

#include <chrono>
#include <variant>

#include "server/ollama/answer.h"

namespace hypura::ollama {
namespace {

constexpr double kBillion = 1e9;
constexpr double kMillion = 1e6;
constexpr double kForGoodSeconds = 100.0 * 365 * 86400;

Json value_of(const MetadataScalar& scalar) {
  return std::visit([](const auto& value) { return Json(value); }, scalar);
}

// Clients know a model by it; where nobody has computed it, its file and time stand for it.
std::string digest_of(const CatalogModel& model) {
  if (!model.digest.empty()) return model.digest;
  const uint64_t path = std::hash<std::string>()(model.path);
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", path, static_cast<uint64_t>(model.modified_ns),
                     model.bytes, path ^ model.bytes);
}

std::string tagged(const std::string& name) {
  const size_t last = name.rfind('/');
  return name.find(':', last == std::string::npos ? 0 : last) == std::string::npos
             ? name + ":latest"
             : name;
}

Json details(const ModelFacts& facts) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", facts.architecture},
          {"families", Json::array({facts.architecture})},
          {"parameter_size", parameter_size(facts.parameter_count)},
          {"quantization_level", facts.quantization}};
}

Json capabilities(const CatalogModel& model, const ModelFacts& facts) {
  Json all = Json::array();
  all.push_back(facts.embeds ? "embedding" : "completion");
  if (facts.can_call_tools) all.push_back("tools");
  if (facts.can_insert) all.push_back("insert");
  if (!model.projector_path.empty()) all.push_back("vision");
  if (facts.can_think) all.push_back("thinking");
  return all;
}

// As a Modelfile writes them: a name and a value a line.
std::string parameter_lines(const std::string& parameters) {
  std::string lines;
  const Json json = Json::parse(parameters, nullptr, false);
  if (!json.is_object()) return lines;
  for (const auto& [name, value] : json.items()) {
    for (const Json& one : value.is_array() ? value : Json::array({value})) {
      lines += fmt::format("{:<30} {}\n", name, one.dump());
    }
  }
  if (!lines.empty()) lines.pop_back();
  return lines;
}

std::string modelfile(const CatalogModel& model) {
  std::string text = fmt::format("# Modelfile of {}\nFROM {}\n", model.name, model.path);
  if (!model.texts.chat_template.empty()) {
    text += fmt::format("TEMPLATE \"\"\"{}\"\"\"\n", model.texts.chat_template);
  }
  if (!model.texts.system.empty())
    text += fmt::format("SYSTEM \"\"\"{}\"\"\"\n", model.texts.system);
  const Json parameters = Json::parse(model.texts.parameters, nullptr, false);
  if (!parameters.is_object()) return text;
  for (const auto& [name, value] : parameters.items()) {
    for (const Json& one : value.is_array() ? value : Json::array({value})) {
      text += fmt::format("PARAMETER {} {}\n", name, one.dump());
    }
  }
  return text;
}

}  // namespace

std::string parameter_size(uint64_t parameters) {
  const double count = static_cast<double>(parameters);
  return count >= kBillion ? fmt::format("{:.1f}B", count / kBillion)
                           : fmt::format("{:.2f}M", count / kMillion);
}

Json tag_entry(const CatalogModel& model, const ModelFacts& facts) {
  return {{"name", tagged(model.name)},
          {"model", tagged(model.name)},
          {"modified_at", time_text(model.modified_ns)},
          {"size", model.bytes},
          {"digest", digest_of(model)},
          {"details", details(facts)}};
}

Json running_entry(const CatalogModel& model, const ModelFacts& facts, const Broker::Facts& life,
                   uint64_t gpu_bytes, uint64_t context) {
  Json entry = tag_entry(model, facts);
  entry.erase("modified_at");
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(life.expires_seconds.value_or(kForGoodSeconds)));
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  entry["expires_at"] = time_text((now + left).count());
  entry["size_vram"] = gpu_bytes;
  entry["context_length"] = context;
  return entry;
}

Json show_answer(const CatalogModel& model, const ModelFacts& facts,
                 const std::vector<MetadataEntry>& metadata, bool verbose) {
  Json info = Json::object();
  for (const MetadataEntry& entry : metadata) {
    if (entry.scalar.has_value()) {
      info[entry.key] = value_of(*entry.scalar);
      continue;
    }
    info[entry.key] = nullptr;
    if (!verbose) continue;
    Json array = Json::array();
    for (const MetadataScalar& scalar : entry.array) array.push_back(value_of(scalar));
    info[entry.key] = std::move(array);
  }
  info["general.parameter_count"] = facts.parameter_count;
  const bool own_template = !model.texts.chat_template.empty();
  Json answer = {{"modelfile", modelfile(model)},
                 {"parameters", parameter_lines(model.texts.parameters)},
                 {"template", own_template ? model.texts.chat_template : facts.template_text},
                 {"details", details(facts)},
                 {"model_info", std::move(info)},
                 {"capabilities", capabilities(model, facts)},
                 {"modified_at", time_text(model.modified_ns)}};
  if (!model.texts.system.empty()) answer["system"] = model.texts.system;
  if (!model.texts.license.empty()) answer["license"] = model.texts.license;
  return answer;
}

}  // namespace hypura::ollama
