#pragma once

#include <string>

#include "base/status.h"
#include "engine/engine.h"

namespace hypura::cli {

// `run -i`: reads lines from stdin, answers each in the model's own chat template, and keeps the
// conversation in the KV cache. A model without a template continues the text instead. Ends at the
// end of input or with /quit; Ctrl-C ends an answer, and the conversation when nothing is being
// answered.
Status chat(Engine& engine);

// One user message, with the system prompt if there is one, in the model's chat template.
// Errors: invalid_argument if the model has none, or it cannot be applied.
Result<std::string> single_message(const Engine& engine, const std::string& message);

}  // namespace hypura::cli
