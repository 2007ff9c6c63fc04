#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/stored_model.h"

namespace hypura {

// A model that can be served, by the name that requests use.
struct CatalogModel {
  std::string name;
  std::string path;            // of its GGUF file, or the first shard
  std::string projector_path;  // empty: it reads no images
  uint64_t bytes = 0;          // of all shards
  int64_t modified_ns = 0;     // since 1970
  std::string digest;          // SHA-256 of the file; empty: not known
  ModelTexts texts = {};       // that Ollama keeps beside it
};

// Where names of models lead. Called from any thread.
class Catalog {
 public:
  virtual ~Catalog() = default;
  // Errors: invalid_argument where there is no such model, with what to try.
  virtual Result<CatalogModel> find(const std::string& name) const = 0;
  virtual std::vector<CatalogModel> list() const = 0;
};

}  // namespace hypura
