#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "model/model_index.h"

namespace hypura {

// The skew of a model's routing (see Workload::heat) as its runs on a GPU have shown it: a line of
// text in the folder of statistics. Safe to delete. Nothing where the folder is empty or unnamed.
std::optional<double> read_heat(const std::string& folder, const ModelIndex& index);
// Replaces the file in one step. Errors: failed with errno.
Status write_heat(const std::string& folder, const ModelIndex& index, double heat);

}  // namespace hypura
