#include "store/ollama_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "model/printable.h"
#include "store/digest.h"

namespace hypura {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kKind = "application/vnd.ollama.image.";
constexpr std::string_view kAlgorithm = "sha256:";

Status refuse(const std::string& what) {
  return Status(StatusCode::invalid_model, fmt::format("an Ollama manifest: {}", what));
}

Result<OllamaLayer> parse_layer(const Json& layer) {
  const auto digest = layer.find("digest");
  const auto bytes = layer.find("size");
  if (digest == layer.end() || !digest->is_string() || bytes == layer.end() ||
      !bytes->is_number_unsigned()) {
    return refuse("a layer without digest or size");
  }
  const std::string text = digest->get<std::string>();
  OllamaLayer parsed{.bytes = bytes->get<uint64_t>()};
  if (text.starts_with(kAlgorithm)) parsed.sha256 = text.substr(kAlgorithm.size());
  if (!is_sha256(parsed.sha256)) {
    return refuse(fmt::format("the digest {} is no SHA-256", printable(text)));
  }
  return parsed;
}

}  // namespace

Result<OllamaManifest> parse_ollama_manifest(const std::string& text) {
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains("layers") || !object["layers"].is_array()) {
    return refuse("no list of layers");
  }
  OllamaManifest manifest;
  std::optional<OllamaLayer> model;
  const auto slot = [&](std::string_view kind) -> std::optional<OllamaLayer>* {
    if (kind == "model") return &model;
    if (kind == "projector") return &manifest.projector;
    if (kind == "template") return &manifest.chat_template;
    if (kind == "system") return &manifest.system;
    if (kind == "params") return &manifest.parameters;
    if (kind == "license") return &manifest.license;
    return nullptr;
  };
  for (const Json& layer : object["layers"]) {
    if (!layer.is_object() || !layer.contains("mediaType") || !layer["mediaType"].is_string()) {
      return refuse("a layer without mediaType");
    }
    const std::string kind = layer["mediaType"].get<std::string>();
    if (!kind.starts_with(kKind)) continue;
    std::optional<OllamaLayer>* const place = slot(std::string_view(kind).substr(kKind.size()));
    if (place == nullptr) continue;
    Result<OllamaLayer> parsed = parse_layer(layer);
    if (!parsed.ok()) return parsed.status();
    if (!place->has_value()) *place = *std::move(parsed);
  }
  if (!model.has_value()) return refuse("it has no model in the GGUF format");
  manifest.model = *std::move(model);
  return manifest;
}

}  // namespace hypura
