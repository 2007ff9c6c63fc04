#pragma once

#include <string>
#include <string_view>

namespace hypura {

// Turns a stream of bytes, cut anywhere, into complete UTF-8: an unfinished character waits for the
// rest of it; what can never become one is replaced by U+FFFD.
class Utf8Stream {
 public:
  // The complete text that `bytes` brings.
  std::string push(std::string_view bytes);
  // What was left unfinished.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace hypura
