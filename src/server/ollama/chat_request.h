#pragma once

#include "base/status.h"
#include "server/ollama/request_options.h"

namespace hypura::ollama {

// The request to llama.cpp's /v1/chat/completions that answers Ollama's /api/chat. Streams always:
// a translator makes what the client wants of it. Errors: invalid_argument.
Result<Json> chat_request(const Json& body);

// The fields of a request that chat and generate share: options, format, think, logprobs.
Status take_common(const Json& body, Json& request);

// How many alternatives of each token are wanted, beside its own probability.
Result<int> top_logprobs(const Json& body);

// One message of the user with images (base64), as llama.cpp takes it.
Result<Json> user_message(const std::string& text, const Json& images);

}  // namespace hypura::ollama
