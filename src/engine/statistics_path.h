#pragma once

#include <string>
#include <string_view>

#include "model/model_index.h"

namespace hypura {

// Where something about a model is kept between runs: in `folder`, named by metadata_hash().
std::string statistics_path(const std::string& folder, const ModelIndex& index,
                            std::string_view ending);

}  // namespace hypura
