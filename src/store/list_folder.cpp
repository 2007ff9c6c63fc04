#include <algorithm>
#include <filesystem>
#include <optional>

#include "store/folder_files.h"
#include "store/model_lists.h"
#include "store/model_name.h"

namespace hypura {
namespace {

void add_models(const std::string& folder, const std::string& below, std::vector<StoredModel>& to) {
  const std::string place = below.empty() ? folder : folder + "/" + below;
  for (FoundModel& found : models_among(place, files_of(place).files)) {
    const std::string stem = below.empty() ? found.stem : below + "/" + found.stem;
    StoredModel model{.name = name_of_stem(stem),
                      .path = std::move(found.path),
                      .projector_path = std::move(found.projector_path),
                      .source = ModelSource::folder};
    if (!check_name(model.name).ok() || !take_sizes(model)) continue;
    if (std::optional<Sidecar> sidecar = read_sidecar(folder + "/" + stem + ".json")) {
      // Of another size it is another file by now.
      if (sidecar->bytes == model.bytes) model.digest = std::move(sidecar->sha256);
      model.texts = std::move(sidecar->texts);
    }
    to.push_back(std::move(model));
  }
}

}  // namespace

std::vector<StoredModel> list_folder(const std::string& folder) {
  std::vector<StoredModel> models;
  if (folder.empty()) return models;
  add_models(folder, "", models);
  for (const std::string& below : files_of(folder).folders) add_models(folder, below, models);
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

}  // namespace hypura
