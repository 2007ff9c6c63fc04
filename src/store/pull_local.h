#pragma once

#include <string>

#include "base/status.h"
#include "store/pull.h"

namespace hypura {

// Takes a model that is on this machine into our folder: as a second name of its files, or as a
// copy where they lie on another drive. Errors: as pull().
Result<StoredModel> pull_local(const ModelStore& store, const std::string& path,
                               const PullOptions& options);

}  // namespace hypura
