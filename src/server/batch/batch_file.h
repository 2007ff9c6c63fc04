#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/status.h"

namespace hypura {

// One line of OpenAI's batch format (https://platform.openai.com/docs/guides/batch).
struct BatchRequest {
  size_t line = 0;  // from 1
  std::string custom_id;
  std::string url;    // e.g. /v1/chat/completions
  std::string model;  // as the body names it; may be empty
  std::string body;   // JSON
};

// What answering one came to.
struct BatchAnswer {
  int status_code = 0;
  std::string body;  // JSON
};

// All requests, in order. Blank lines are skipped. Errors, each naming the line: failed where the
// file cannot be read; invalid_argument for what is not a request, repeats a custom_id, or asks for
// another method than POST.
Result<std::vector<BatchRequest>> read_batch(const std::string& path);

// The line of an answer, with its end.
std::string answer_line(const BatchRequest& request, const BatchAnswer& answer);

// What an earlier run has answered: the custom_ids with a success. The file keeps only these lines;
// without a file there are none. Errors: failed; invalid_argument where it is not such a file.
Result<std::unordered_set<std::string>> keep_answered(const std::string& path);

}  // namespace hypura
