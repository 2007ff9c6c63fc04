#include "server/http/event_reader.h"

namespace hypura {
namespace {

constexpr std::string_view kData = "data:";

}  // namespace

std::vector<std::string> EventReader::push(std::string_view bytes) {
  // llama.cpp writes every event's data in one line.
  std::vector<std::string> events;
  for (const char byte : bytes) {
    if (byte != '\n') {
      line_ += byte;
      continue;
    }
    std::string_view line = line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(kData)) {
      line.remove_prefix(kData.size());
      if (line.starts_with(' ')) line.remove_prefix(1);
      events.emplace_back(line);
    }
    line_.clear();
  }
  return events;
}

}  // namespace hypura
