#include "store/stored_model.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/replace_file.h"
#include "base/units.h"
#include "model/model_file.h"
#include "model/shard_names.h"
#include "store/digest.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kSmallFileBytesMax = 4 * kMiB;
constexpr uint32_t kShardsMax = 1000;

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t since_1970_ns(const fs::file_time_type& time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(system.time_since_epoch()).count();
}

}  // namespace

const char* to_string(ModelSource source) {
  switch (source) {
    case ModelSource::folder: return "folder";
    case ModelSource::ollama: return "ollama";
    case ModelSource::hugging_face: return "hugging_face";
  }
  return "";
}

std::vector<std::string> shards_of(const std::string& path) {
  std::optional<ShardName> name = parse_shard_name(path);
  if (!name.has_value()) return {path};
  std::vector<std::string> paths;
  for (name->number = 1; name->number <= std::min(name->count, kShardsMax); ++name->number) {
    paths.push_back(to_path(*name));
  }
  return paths;
}

bool take_sizes(StoredModel& model) {
  model.bytes = 0;
  model.modified_ns = 0;
  for (const std::string& path : shards_of(model.path)) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return false;
    const uint64_t bytes = fs::file_size(path, error);
    if (error) return false;
    const fs::file_time_type time = fs::last_write_time(path, error);
    if (error) return false;
    model.bytes += bytes;
    model.modified_ns = std::max(model.modified_ns, since_1970_ns(time));
  }
  return true;
}

std::optional<std::string> read_small_file(const std::string& path) {
  const Result<ModelFile> file = ModelFile::open(path);
  if (!file.ok() || file->bytes() > kSmallFileBytesMax) return std::nullopt;
  std::string bytes(file->bytes(), '\0');
  if (!file->read_at(0, bytes.data(), bytes.size()).ok()) return std::nullopt;
  return bytes;
}

std::optional<Sidecar> read_sidecar(const std::string& path) {
  const std::optional<std::string> text = read_small_file(path);
  if (!text.has_value()) return std::nullopt;
  const Json object = Json::parse(*text, nullptr, false);
  if (!object.is_object() || !object.contains("url") || !object.contains("bytes") ||
      !object["bytes"].is_number_unsigned()) {
    return std::nullopt;
  }
  Sidecar sidecar{.url = text_at(object, "url"),
                  .sha256 = text_at(object, "sha256"),
                  .bytes = object["bytes"].get<uint64_t>(),
                  .texts = {.chat_template = text_at(object, "template"),
                            .system = text_at(object, "system"),
                            .parameters = text_at(object, "parameters"),
                            .license = text_at(object, "license")}};
  if (!is_sha256(sidecar.sha256)) sidecar.sha256.clear();
  return sidecar;
}

Status write_sidecar(const std::string& path, const Sidecar& sidecar) {
  Json object = {{"url", sidecar.url}, {"sha256", sidecar.sha256}, {"bytes", sidecar.bytes}};
  const auto add = [&object](const char* key, const std::string& text) {
    if (!text.empty()) object[key] = text;
  };
  add("template", sidecar.texts.chat_template);
  add("system", sidecar.texts.system);
  add("parameters", sidecar.texts.parameters);
  add("license", sidecar.texts.license);
  const std::string text = object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (const std::error_code error = replace_file(path, text)) {
    return Status(StatusCode::failed, fmt::format("cannot write {}: {}", path, error.message()));
  }
  return Status();
}

}  // namespace hypura
