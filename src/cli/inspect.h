#pragma once

#include <string>

#include "base/status.h"
#include "model/model_index.h"

namespace hypura::cli {

struct InspectOptions {
  std::string model;     // path of a GGUF file, of a split model any shard
  bool tensors = false;  // list every tensor too
  bool json = false;     // one object, "schema": 1
};

// `hypura inspect`: prints what a model file holds, from its metadata alone. Writes to stdout only
// if all went well; a broken pipe counts as that.
Status run_inspect(const InspectOptions& options);

// The text of `hypura inspect` for a person, and the object of --json. Both end with a line break.
std::string inspect_text(const ModelIndex& index, bool tensors);
std::string inspect_json(const ModelIndex& index, bool tensors);

}  // namespace hypura::cli
