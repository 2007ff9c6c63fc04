#include <algorithm>
#include <optional>

#include "store/folder_files.h"
#include "store/model_lists.h"
#include "store/model_name.h"
#include "store/ollama_manifest.h"

namespace hypura {
namespace {

constexpr std::string_view kLibrary = "registry.ollama.ai/library/";
constexpr std::string_view kRegistry = "registry.ollama.ai/";

// As `ollama list` shows it: the usual host and owner are left out.
std::string shown_name(const std::string& place, const std::string& tag) {
  std::string_view name = place;
  if (name.starts_with(kLibrary)) name.remove_prefix(kLibrary.size());
  else if (name.starts_with(kRegistry)) name.remove_prefix(kRegistry.size());
  return std::string(name) + ":" + tag;
}

// Adds the model of manifests/PLACE/TAG.
void add_model(const std::string& folder, const std::string& place, const std::string& tag,
               std::vector<StoredModel>& to) {
  const std::optional<std::string> text =
      read_small_file(folder + "/manifests/" + place + "/" + tag);
  if (!text.has_value()) return;
  const Result<OllamaManifest> manifest = parse_ollama_manifest(*text);
  StoredModel model{.name = shown_name(place, tag), .source = ModelSource::ollama};
  if (!manifest.ok() || !check_name(model.name).ok()) return;
  const auto blob = [&folder](const OllamaLayer& layer) {
    return folder + "/blobs/sha256-" + layer.sha256;
  };
  const auto text_of = [&blob](const std::optional<OllamaLayer>& layer) {
    return layer ? read_small_file(blob(*layer)).value_or("") : std::string();
  };
  model.path = blob(manifest->model);
  if (!take_sizes(model)) return;
  model.digest = manifest->model.sha256;
  if (manifest->projector.has_value()) {
    StoredModel projector{.path = blob(*manifest->projector)};
    if (take_sizes(projector)) model.projector_path = projector.path;
  }
  model.texts = {.chat_template = text_of(manifest->chat_template),
                 .system = text_of(manifest->system),
                 .parameters = text_of(manifest->parameters),
                 .license = text_of(manifest->license)};
  to.push_back(std::move(model));
}

}  // namespace

std::vector<StoredModel> list_ollama(const std::string& folder) {
  std::vector<StoredModel> models;
  if (folder.empty()) return models;
  const std::string manifests = folder + "/manifests";
  for (const std::string& host : files_of(manifests).folders) {
    for (const std::string& owner : files_of(manifests + "/" + host).folders) {
      const std::string below = host + "/" + owner;
      for (const std::string& name : files_of(manifests + "/" + below).folders) {
        const std::string place = below + "/" + name;
        for (const std::string& tag : files_of(manifests + "/" + place).files) {
          add_model(folder, place, tag, models);
        }
      }
    }
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

}  // namespace hypura
