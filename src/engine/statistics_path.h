#pragma once

#include <string>
#include <string_view>

#include "model/model_index.h"

namespace hypura {

// Where something about a model is kept between runs: in `folder`, named by a hash of its tensors.
std::string statistics_path(const std::string& folder, const ModelIndex& index,
                            std::string_view ending);

}  // namespace hypura
