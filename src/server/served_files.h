#pragma once

#include <string>
#include <vector>

#include "server/catalog.h"

namespace hypura {

// Models that the command line names by their files.
class ServedFiles final : public Catalog {
 public:
  // `alias` is the name of the first; others have their file's. Errors: invalid_argument where two
  // have one name or a file is missing.
  static Result<ServedFiles> open(const std::vector<std::string>& paths, const std::string& alias,
                                  const std::string& projector_path);

  Result<CatalogModel> find(const std::string& name) const override;
  std::vector<CatalogModel> list() const override { return models_; }

 private:
  std::vector<CatalogModel> models_;
};

}  // namespace hypura
