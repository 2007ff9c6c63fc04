#include "server/served_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hypura {
namespace {

constexpr std::string_view kLatest = ":latest";

std::string_view without_latest(std::string_view name) {
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  return name;
}

CatalogModel entry_of(StoredModel model) {
  return {.name = std::move(model.name),
          .path = std::move(model.path),
          .projector_path = std::move(model.projector_path),
          .bytes = model.bytes,
          .modified_ns = model.modified_ns,
          .digest = std::move(model.digest),
          .texts = std::move(model.texts)};
}

}  // namespace

Status ServedModels::add(const std::string& name, const std::string& path,
                         const std::string& projector_path) {
  StoredModel model{.name = name, .path = path, .projector_path = projector_path};
  if (!take_sizes(model)) {
    return Status(StatusCode::invalid_model,
                  fmt::format("cannot open {}: {}", path,
                              errno == 0 ? "a shard is missing" : std::strerror(errno)));
  }
  const bool taken = std::any_of(added_.begin(), added_.end(), [&](const CatalogModel& other) {
    return other.name == name;
  });
  if (taken) {
    return Status(StatusCode::invalid_argument, fmt::format("two models have the name {}", name))
        .suggest("--alias NAME for the first, or another name for a file");
  }
  added_.push_back(entry_of(std::move(model)));
  return Status();
}

Result<CatalogModel> ServedModels::find(const std::string& name) const {
  const auto found = std::find_if(added_.begin(), added_.end(), [&](const CatalogModel& model) {
    return without_latest(model.name) == without_latest(name);
  });
  if (found != added_.end()) return *found;
  if (store_.has_value()) {
    Result<StoredModel> model = store_->find(name);
    if (model.ok()) return entry_of(*std::move(model));
  }
  // As Ollama words it: clients look for these words.
  Status status(StatusCode::invalid_argument, fmt::format("model '{}' not found", name));
  std::string names;
  for (const CatalogModel& model : added_) names += (names.empty() ? "" : ", ") + model.name;
  return names.empty() ? status.suggest("hypura list, which shows names") : status.suggest(names);
}

std::vector<CatalogModel> ServedModels::list() const {
  std::vector<CatalogModel> all = added_;
  if (!store_.has_value()) return all;
  for (StoredModel& model : store_->list()) {
    const bool hidden = std::any_of(added_.begin(), added_.end(), [&](const CatalogModel& other) {
      return without_latest(other.name) == without_latest(model.name);
    });
    if (!hidden) all.push_back(entry_of(std::move(model)));
  }
  return all;
}

}  // namespace hypura
