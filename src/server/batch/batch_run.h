#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "base/status.h"
#include "server/batch/batch_file.h"
#include "server/model/model_host.h"

namespace hypura {

struct BatchRunOptions {
  int parallel = 1;  // requests under way
  // Hears of each answer as it comes; one at a time. A failure ends the run.
  std::function<Status(const BatchRequest&, const BatchAnswer&)> on_answer;
  const std::atomic<bool>* stop = nullptr;
};

// Answers requests with a host that is open: many sequences share each weight that is read. One
// that cannot be answered becomes an answer with its error's status code. Errors: interrupted when
// told to stop; those of on_answer.
Status run_batch(ModelHost& host, const std::vector<BatchRequest>& requests,
                 const BatchRunOptions& options);

// Whether a batch may ask for `url`.
bool answers_in_batch(const std::string& url);

}  // namespace hypura
