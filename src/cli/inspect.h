#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "model/model_index.h"

namespace hypura::cli {

// `hypura inspect`: prints what a model file holds, from its metadata alone. Writes to stdout only
// if all went well; a broken pipe counts as that.
Status inspect(const std::vector<std::string>& arguments);
CommandDescription describe_inspect();

// The text of `hypura inspect` for a person, and the object of --json. Both end with a line break.
std::string inspect_text(const ModelIndex& index, bool tensors);
std::string inspect_json(const ModelIndex& index, bool tensors);

// "46.7 M", "8.0 B", "671.0 B", "1.0 T".
std::string format_count(uint64_t count);

}  // namespace hypura::cli
