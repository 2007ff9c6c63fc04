#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace hypura::cli {

// hypura serve [MODEL...]: answers OpenAI's, Anthropic's and Ollama's clients until it is stopped.
// Errors: those of loading the first MODEL; invalid_argument; failed where it cannot listen.
Status serve(const std::vector<std::string>& arguments);
CommandDescription describe_serve();

}  // namespace hypura::cli
