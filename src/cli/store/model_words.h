#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "store/stored_model.h"

namespace hypura::cli {

// "5 minutes ago", "3 weeks ago"; both since 1970.
std::string time_ago(int64_t then_ns, int64_t now_ns);

// The table of `hypura list`: NAME, ID, SIZE, MODIFIED as Ollama has them, and whose it is.
std::string models_table(const std::vector<StoredModel>& models, int64_t now_ns);

nlohmann::ordered_json model_json(const StoredModel& model);

// Now, since 1970.
int64_t wall_clock_ns();

}  // namespace hypura::cli
