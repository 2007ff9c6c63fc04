#include "server/served_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>


namespace hypura {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

Result<ServedFiles> ServedFiles::open(const std::vector<std::string>& paths,
                                      const std::string& alias,
                                      const std::string& projector_path) {
  ServedFiles files;
  for (const std::string& path : paths) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
      return Status(StatusCode::invalid_model,
                    fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    }
    CatalogModel model{.name = std::filesystem::path(path).stem().string(),
                       .path = path,
                       .bytes = static_cast<uint64_t>(facts.st_size),
                       .modified_ns = facts.st_mtime * kNanosecondsPerSecond};
    if (files.models_.empty()) {
      if (!alias.empty()) model.name = alias;
      model.projector_path = projector_path;
    }
    if (files.find(model.name).ok()) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("two models have the name {}", model.name))
          .suggest("--alias NAME for the first, or another name for a file");
    }
    files.models_.push_back(std::move(model));
  }
  return files;
}

Result<CatalogModel> ServedFiles::find(const std::string& name) const {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const CatalogModel& model) {
    return model.name == name || model.name + ":latest" == name;
  });
  if (found != models_.end()) return *found;
  std::string names;
  for (const CatalogModel& model : models_) names += (names.empty() ? "" : ", ") + model.name;
  Status status(StatusCode::invalid_argument, fmt::format("model '{}' not found", name));
  if (!names.empty()) status.suggest(names);
  return status;
}

}  // namespace hypura
