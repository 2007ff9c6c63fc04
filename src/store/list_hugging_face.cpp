#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "store/digest.h"
#include "store/folder_files.h"
#include "store/model_lists.h"
#include "store/model_name.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";

// "models--org--repo" -> "org/repo".
std::string repository_of(const std::string& folder) {
  std::string name = folder.substr(kPrefix.size());
  if (const size_t split = name.find("--"); split != std::string::npos) name.replace(split, 2, "/");
  return name;
}

// The main revision first, then from the youngest on.
std::vector<std::string> revisions(const std::string& folder) {
  std::string main = read_small_file(folder + "/refs/main").value_or("");
  main.erase(std::find_if(main.begin(), main.end(), [](char c) { return c <= ' '; }), main.end());
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  for (std::string& revision : files_of(folder + "/snapshots").folders) {
    std::error_code error;
    const auto time = revision == main
                          ? fs::file_time_type::max()
                          : fs::last_write_time(folder + "/snapshots/" + revision, error);
    found.emplace_back(time, std::move(revision));
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> names;
  for (auto& [time, name] : found) names.push_back(std::move(name));
  return names;
}

std::vector<FoundModel> models_of(const std::string& snapshot) {
  const FolderFiles top = files_of(snapshot);
  std::vector<FoundModel> models = models_among(snapshot, top.files);
  for (const std::string& below : top.folders) {
    const std::string place = snapshot + "/" + below;
    for (FoundModel& model : models_among(place, files_of(place).files)) {
      models.push_back(std::move(model));
    }
  }
  return models;
}

// A blob of a large file is named by its SHA-256, one of a small file otherwise.
std::string digest_of(const std::string& link) {
  std::error_code error;
  const std::string blob = fs::read_symlink(link, error).filename().string();
  return is_sha256(blob) ? blob : std::string();
}

void add_repository(const std::string& folder, const std::string& repository,
                    std::vector<StoredModel>& to) {
  std::set<std::string> stems;
  std::set<std::string> keys;
  for (const std::string& revision : revisions(folder)) {
    for (FoundModel& found : models_of(folder + "/snapshots/" + revision)) {
      if (stems.contains(found.stem)) continue;
      StoredModel model{.name = repository + ":" + quantization_of_stem(found.stem),
                        .path = std::move(found.path),
                        .projector_path = std::move(found.projector_path),
                        .source = ModelSource::hugging_face};
      if (keys.contains(name_key(model.name))) model.name = repository + ":" + found.stem;
      if (!check_name(model.name).ok() || !take_sizes(model)) continue;
      model.digest = digest_of(model.path);
      keys.insert(name_key(model.name));
      stems.insert(std::move(found.stem));
      to.push_back(std::move(model));
    }
  }
}

}  // namespace

std::vector<StoredModel> list_hugging_face(const std::string& folder) {
  std::vector<StoredModel> models;
  if (folder.empty()) return models;
  for (const std::string& name : files_of(folder).folders) {
    if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) continue;
    add_repository(folder + "/" + name, repository_of(name), models);
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

}  // namespace hypura
