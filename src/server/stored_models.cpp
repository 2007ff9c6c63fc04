#include "server/stored_models.h"

#include <utility>

namespace hypura {
namespace {

CatalogModel as_entry(StoredModel model) {
  return {.name = std::move(model.name),
          .path = std::move(model.path),
          .projector_path = std::move(model.projector_path),
          .bytes = model.bytes,
          .modified_ns = model.modified_ns};
}

}  // namespace

Result<CatalogModel> StoredModels::find(const std::string& name) const {
  Result<StoredModel> model = store_.find(name);
  if (!model.ok()) return model.status();
  return as_entry(*std::move(model));
}

std::vector<CatalogModel> StoredModels::list() const {
  std::vector<CatalogModel> entries;
  for (StoredModel& model : store_.list()) entries.push_back(as_entry(std::move(model)));
  return entries;
}

}  // namespace hypura
