#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/catalog.h"
#include "store/model_store.h"

namespace hypura {

// Models that the command line names, and those of a store by its names as they are at each
// request.
class ServedModels final : public Catalog {
 public:
  explicit ServedModels(std::optional<ModelStore> store) : store_(std::move(store)) {}

  // A model by the name `name`. Errors: invalid_argument where there is one; invalid_model for a
  // file that cannot be opened.
  Status add(const std::string& name, const std::string& path, const std::string& projector_path);

  Result<CatalogModel> find(const std::string& name) const override;
  std::vector<CatalogModel> list() const override;

  const std::vector<CatalogModel>& added() const { return added_; }
  const std::optional<ModelStore>& store() const { return store_; }

 private:
  std::optional<ModelStore> store_;
  std::vector<CatalogModel> added_;
};

}  // namespace hypura
