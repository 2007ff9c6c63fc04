#include "base/units.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>

namespace hypura {

std::string format_bytes(uint64_t bytes) {
  if (bytes >= kGiB) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGiB);
  if (bytes >= kMiB) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMiB);
  if (bytes >= kKiB) return fmt::format("{:.0f} KiB", static_cast<double>(bytes) / kKiB);
  return fmt::format("{} B", bytes);
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number,
                                            std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;

  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c) {
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  }
  uint64_t scale = 0;
  if (unit.empty() || unit == "b") scale = 1;
  if (unit == "k" || unit == "kb" || unit == "kib") scale = kKiB;
  if (unit == "m" || unit == "mb" || unit == "mib") scale = kMiB;
  if (unit == "g" || unit == "gb" || unit == "gib") scale = kGiB;
  if (unit == "t" || unit == "tb" || unit == "tib") scale = kGiB << 10;
  if (scale == 0) return std::nullopt;

  const double bytes = number * static_cast<double>(scale);
  if (bytes > 0x1p62) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

}  // namespace hypura
