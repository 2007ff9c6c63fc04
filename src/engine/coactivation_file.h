#pragma once

#include <string>

#include "base/status.h"
#include "cache/coactivation.h"
#include "model/model_index.h"

namespace hypura {

// What a model's routers were seen to do together, kept between runs: a small file a model, named
// by a hash of the model's tensors. Safe to delete; one that does not fit the model is not used.
class CoactivationFile {
 public:
  // In `folder`, which need not exist.
  CoactivationFile(const std::string& folder, const ModelIndex& index);

  const std::string& path() const { return path_; }
  // Fills `table` from the file; leaves it alone if there is none, or another version or shape.
  void read_into(Coactivation& table) const;
  // Replaces the file in one step. Errors: failed with errno.
  Status write(const Coactivation& table) const;

 private:
  std::string path_;
};

}  // namespace hypura
