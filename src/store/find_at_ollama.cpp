#include <fmt/format.h>

#include <utility>

#include "base/units.h"
#include "store/digest.h"
#include "store/download.h"
#include "store/model_name.h"
#include "store/ollama_manifest.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

constexpr uint64_t kTextBytesMax = kMiB;
constexpr const char* kManifestType = "application/vnd.docker.distribution.manifest.v2+json";

// A layer that is a text, verified; empty where there is none.
Result<std::string> fetch_text(const std::optional<OllamaLayer>& layer, const std::string& blobs,
                               const HttpSettings& settings) {
  if (!layer.has_value()) return std::string();
  const std::string url = blobs + layer->sha256;
  Result<std::string> text = http_text({.url = url}, settings, kTextBytesMax);
  if (!text.ok()) return text;
  Sha256 hash;
  hash.add(*text);
  const std::string actual = hash.hex();
  return actual == layer->sha256 ? text : wrong_hash(url, actual, layer->sha256);
}

}  // namespace

Result<RemoteModel> find_at_ollama(const std::string& base, const std::string& name,
                                   const HttpSettings& settings) {
  if (const Result<std::string> stem = stem_of_name(name); !stem.ok()) return stem.status();
  const size_t colon = name.find(':');
  const std::string model = name.substr(0, colon);
  const std::string tag = colon == std::string::npos ? "latest" : name.substr(colon + 1);
  const bool owned = model.find('/') != std::string::npos;
  const std::string place = fmt::format("{}/v2/{}{}", base, owned ? "" : "library/", model);
  const std::string url = fmt::format("{}/manifests/{}", place, tag);
  const Result<std::string> text =
      http_text({.url = url, .accept = kManifestType}, settings, kTextBytesMax);
  if (!text.ok()) return text.status();
  const Result<OllamaManifest> manifest = parse_ollama_manifest(*text);
  if (!manifest.ok()) return manifest.status();
  const std::string blobs = place + "/blobs/sha256:";
  const auto file = [&blobs](const OllamaLayer& layer) {
    return RemoteFile{
        .url = blobs + layer.sha256, .sha256 = layer.sha256, .bytes = layer.bytes};
  };
  RemoteModel remote{.name = fmt::format("{}:{}", model, tag),
                     .url = url,
                     .shards = {file(manifest->model)}};
  if (manifest->projector.has_value()) remote.projector = file(*manifest->projector);
  const std::pair<const std::optional<OllamaLayer>&, std::string&> texts[] = {
      {manifest->chat_template, remote.texts.chat_template},
      {manifest->system, remote.texts.system},
      {manifest->parameters, remote.texts.parameters},
      {manifest->license, remote.texts.license}};
  for (const auto& [layer, to] : texts) {
    Result<std::string> fetched = fetch_text(layer, blobs, settings);
    if (!fetched.ok()) return fetched.status();
    to = *std::move(fetched);
  }
  return remote;
}

}  // namespace hypura
