#pragma once

#include <optional>

#include "base/status.h"
#include "nlohmann/json_fwd.hpp"

namespace hypura::ollama {

using Json = nlohmann::ordered_json;

// Writes Ollama's `options` into a request to llama.cpp's server, on top of Ollama's defaults,
// which are not llama.cpp's. Options of loading (num_gpu, num_thread, num_batch, use_mmap, ...) are
// taken and do nothing: Hypura measures what they would say. Errors: invalid_argument, as Ollama
// words it.
Status take_options(const Json& options, Json& request);

// num_ctx of the options. Errors: as above.
Result<std::optional<int>> asked_context(const Json& options);

// Seconds of a `keep_alive`: a number, or "5m". Negative: for good. Errors: as above.
Result<double> keep_alive_seconds(const Json& value);

}  // namespace hypura::ollama
