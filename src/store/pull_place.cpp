#include "store/pull_place.h"

#include <fmt/format.h>

#include <utility>

#include "store/model_name.h"

namespace hypura {

Result<PullPlace> place_for(const ModelStore& store, const std::string& own_name,
                            const PullOptions& options) {
  PullPlace place{.name = options.name.empty() ? own_name : options.name};
  const Result<std::string> stem = stem_of_name(place.name);
  if (!stem.ok()) {
    Status status = stem.status();
    return options.name.empty() ? std::move(status).suggest("--name NAME") : status;
  }
  if (store.folders().models.empty()) {
    return Status(StatusCode::invalid_argument, "there is no folder for models")
        .suggest("HYPURA_MODELS=DIR");
  }
  place.own.stem_path = store.folders().models + "/" + *stem;
  const std::string key = name_key(place.name);
  for (StoredModel& model : store.list()) {
    if (name_key(model.name) == key) place.existing = std::move(model);
  }
  return place;
}

Result<Here> compare(const PullPlace& place, const std::string& url, const std::string& sha256) {
  if (!place.existing.has_value()) return Here::no;
  const StoredModel& existing = *place.existing;
  if (!sha256.empty() && existing.digest == sha256) return Here::same;
  if (existing.source != ModelSource::folder) return Here::no;
  const std::optional<Sidecar> sidecar = read_sidecar(own_files_of(existing.path).sidecar());
  if (!sidecar.has_value() || sidecar->url != url) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("there is another model named {}", existing.name))
        .because(fmt::format("its file is {}", existing.path))
        .suggest(fmt::format("--name NAME, or hypura rm {} before", existing.name));
  }
  return sha256.empty() ? Here::same : Here::older;
}

}  // namespace hypura
