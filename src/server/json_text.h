#pragma once

#include <string>

#include "nlohmann/json_fwd.hpp"

namespace hypura {

// In one line. What is no UTF-8, as a model may write it, becomes U+FFFD.
std::string json_text(const nlohmann::ordered_json& json);

}  // namespace hypura
