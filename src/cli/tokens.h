#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"

namespace hypura::cli {

// `text` in the model's vocabulary, special tokens included; with `first`, what begins a context
// (BOS). Errors: invalid_model if the vocabulary cannot say it; llama.cpp checks little of it.
Result<std::vector<llama_token>> tokenize(const Engine& engine, const std::string& text,
                                          bool first);

}  // namespace hypura::cli
