#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "store/model_store.h"
#include "store/own_files.h"
#include "store/pull.h"

namespace hypura {

// Where a model that is pulled goes, and what has its name already.
struct PullPlace {
  std::string name;
  OwnFiles own;
  std::optional<StoredModel> existing;

  std::string folder() const { return own.stem_path.substr(0, own.stem_path.rfind('/')); }
};

// `own_name` is what it is called if no other name was asked for. Errors: invalid_argument.
Result<PullPlace> place_for(const ModelStore& store, const std::string& own_name,
                            const PullOptions& options);

enum class Here { no, older, same };

// Whether the model of this address and hash, which may be empty, is here. Errors:
// invalid_argument, if it is another one of that name.
Result<Here> compare(const PullPlace& place, const std::string& url, const std::string& sha256);

}  // namespace hypura
