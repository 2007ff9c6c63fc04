#include "server/http/request_size.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace hypura {
namespace {

constexpr std::string_view kEndOfLine = "\r\n";
constexpr std::string_view kEndOfHead = "\r\n\r\n";

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::optional<RequestSize> request_size(std::string_view bytes) {
  const size_t end = bytes.find(kEndOfHead);
  if (end == std::string_view::npos) return std::nullopt;
  RequestSize size{.head_bytes = end + kEndOfHead.size(), .body_bytes = 0};
  std::string_view lines = bytes.substr(0, end + kEndOfLine.size());
  while (!lines.empty()) {
    const size_t line_end = lines.find(kEndOfLine);
    const std::string_view line = lines.substr(0, line_end);
    lines.remove_prefix(line_end + kEndOfLine.size());
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    if (same_name(name, "Transfer-Encoding") || same_name(name, "Expect")) {
      size.body_bytes.reset();
      return size;
    }
    if (!same_name(name, "Content-Length")) continue;
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    uint64_t count = 0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), count);
    if (error == std::errc() && rest != value.data()) size.body_bytes = count;
  }
  return size;
}

}  // namespace hypura
