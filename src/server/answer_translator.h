#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace hypura {

// Turns the answer of a model's process into one of another protocol, piece by piece. Used by one
// thread.
class AnswerTranslator {
 public:
  virtual ~AnswerTranslator() = default;
  virtual std::string content_type() const = 0;
  // Of an answer that is sent as a whole, once it is complete.
  virtual int http_code() const { return 200; }
  // More of the body of an answer with code 200, cut anywhere. Returns what to send on, if
  // anything.
  virtual std::string on_data(std::string_view data) = 0;
  // The answer is complete.
  virtual std::string on_end() = 0;
  // It broke off behind pieces that were sent already, or one of these is an error.
  virtual std::string on_failure(std::string_view message) = 0;
};

}  // namespace hypura
