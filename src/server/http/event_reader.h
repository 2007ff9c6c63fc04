#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hypura {

// The data of server-sent events, out of a stream that is cut anywhere.
class EventReader {
 public:
  // Of the events that are complete with these bytes, in order.
  std::vector<std::string> push(std::string_view bytes);

 private:
  std::string line_;  // that has not ended yet
};

}  // namespace hypura
