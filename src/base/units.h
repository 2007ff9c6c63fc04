#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hypura {

inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

// "61.2 GiB", "512 KiB", "17 B": binary units, one decimal from MiB upwards.
std::string format_bytes(uint64_t bytes);

// Parses "8G", "8GiB", "512M", "1.5g", "4096": binary units, case-insensitive, a bare number is
// bytes. nullopt for anything else, negative, not finite, or above 2^62.
std::optional<uint64_t> parse_bytes(std::string_view text);

// value rounded down or up to a multiple of `multiple`. REQUIRES: multiple > 0, no overflow.
constexpr uint64_t round_down(uint64_t value, uint64_t multiple) {
  return value - value % multiple;
}
constexpr uint64_t round_up(uint64_t value, uint64_t multiple) {
  return round_down(value + multiple - 1, multiple);
}

// a - b, and 0 where that is less than nothing.
constexpr uint64_t saturating_subtract(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// REQUIRES: no overflow.
constexpr uint64_t sum(std::span<const uint64_t> values) {
  uint64_t total = 0;
  for (const uint64_t value : values) total += value;
  return total;
}

}  // namespace hypura
