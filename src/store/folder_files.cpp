#include "store/folder_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "model/shard_names.h"
#include "store/model_name.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr size_t kEntriesMax = 10'000;
constexpr std::string_view kSuffix = ".gguf";

// The projector of a model: its own, or the one that lies there for all.
std::string projector_of(const std::string& stem, const std::vector<std::string>& projectors) {
  const std::string own = lower_case(stem + ".mmproj.gguf");
  const auto found = std::find_if(projectors.begin(), projectors.end(),
                                  [&](const std::string& name) { return lower_case(name) == own; });
  if (found != projectors.end()) return *found;
  const auto shared =
      std::find_if(projectors.begin(), projectors.end(), [](const std::string& name) {
        return lower_case(name).starts_with("mmproj");
      });
  return shared == projectors.end() ? std::string() : *shared;
}

}  // namespace

FolderFiles files_of(const std::string& folder) {
  FolderFiles found;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  size_t left = kEntriesMax;
  for (; !error && entry != fs::directory_iterator() && left > 0; entry.increment(error), --left) {
    std::string name = entry->path().filename().string();
    if (name.starts_with(".")) continue;
    std::error_code ignored;
    if (entry->is_directory(ignored)) found.folders.push_back(std::move(name));
    else if (entry->is_regular_file(ignored)) found.files.push_back(std::move(name));
  }
  std::sort(found.files.begin(), found.files.end());
  std::sort(found.folders.begin(), found.folders.end());
  return found;
}

std::vector<FoundModel> models_among(const std::string& folder,
                                     const std::vector<std::string>& files) {
  std::vector<std::string> projectors;
  std::copy_if(files.begin(), files.end(), std::back_inserter(projectors), is_projector);
  std::vector<FoundModel> models;
  for (const std::string& name : files) {
    if (!name.ends_with(kSuffix) || name.size() == kSuffix.size() || is_projector(name)) continue;
    const std::optional<ShardName> shard = parse_shard_name(name);
    if (shard.has_value() && shard->number != 1) continue;
    FoundModel model{
        .stem = shard ? shard->prefix : name.substr(0, name.size() - kSuffix.size()),
        .path = folder + "/" + name};
    const std::string projector = projector_of(model.stem, projectors);
    if (!projector.empty()) model.projector_path = folder + "/" + projector;
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace hypura
