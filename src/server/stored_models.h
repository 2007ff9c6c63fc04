#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "server/catalog.h"
#include "store/model_store.h"

namespace hypura {

// All models of a store, by its names, as they are at each request.
class StoredModels final : public Catalog {
 public:
  explicit StoredModels(ModelStore store) : store_(std::move(store)) {}

  Result<CatalogModel> find(const std::string& name) const override;
  std::vector<CatalogModel> list() const override;
  const ModelStore& store() const { return store_; }

 private:
  ModelStore store_;
};

}  // namespace hypura
