#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace hypura {

// Protocols that say differently what went wrong.
enum class Protocol : uint8_t { openai, anthropic, ollama };

// The body of an answer that is an error. `http_code` decides its type.
std::string error_body(Protocol protocol, int http_code, std::string_view message);

// What happened, why and what to try, in one line.
std::string one_line(const Status& status);

}  // namespace hypura
