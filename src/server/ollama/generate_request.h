#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "server/model_facts.h"
#include "nlohmann/json.hpp"
#include "server/ollama/request_options.h"
#include "server/proxy.h"

namespace hypura::ollama {

// How /api/generate is answered by llama.cpp's server.
struct GeneratePlan {
  enum class Way : uint8_t {
    chat,        // /v1/chat/completions: it knows what is thought, and images
    completion,  // /completion: behind a text, or behind tokens, which make a `context`
    infill,      // /infill: between prompt and suffix
  };
  Way way = Way::completion;
  std::string path;
  Json request;
  // Of a completion that tells its context: the text, or the messages that a template makes it of,
  // behind the tokens of `context`.
  bool tells_context = false;
  std::string text;
  Json messages;  // null: `text` it is
  std::vector<int> context;
};

// Errors: invalid_argument.
Result<GeneratePlan> plan_generate(const Json& body, const ModelFacts& model);

// Makes the prompt of a plan that tells its context, asking the model's process for its template
// and tokens. Returns the prompt's tokens. Errors: failed, as the process words it.
Result<std::vector<int>> make_prompt(GeneratePlan& plan, const AskModel& ask);

}  // namespace hypura::ollama
