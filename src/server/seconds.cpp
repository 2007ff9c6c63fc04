#include "server/seconds.h"

#include <charconv>
#include <cmath>

namespace hypura {
namespace {

// The unit that `text` starts with, which it loses.
std::optional<double> take_unit(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  for (const Unit unit : {Unit{"ns", 1e-9}, Unit{"us", 1e-6}, Unit{"ms", 1e-3}, Unit{"s", 1},
                          Unit{"m", 60}, Unit{"h", 3600}}) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.seconds;
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> parse_seconds(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  bool first = true;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number,
                                              std::chars_format::fixed);
    if (error != std::errc() || number < 0 || !std::isfinite(number)) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty() && first) {
      seconds = number;
      break;
    }
    const std::optional<double> unit = take_unit(text);
    if (!unit.has_value()) return std::nullopt;
    seconds += number * *unit;
    first = false;
  }
  return negative ? -seconds : seconds;
}

}  // namespace hypura
