#include "model/shard_names.h"

#include <fmt/format.h>

namespace hypura {
namespace {

constexpr std::string_view kPattern = "-#####-of-#####.gguf";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool matches_pattern(std::string_view ending) {
  for (size_t i = 0; i < kPattern.size(); ++i) {
    if (kPattern[i] == '#' ? !is_digit(ending[i]) : ending[i] != kPattern[i]) return false;
  }
  return true;
}

uint32_t number_at(std::string_view text, size_t start) {
  uint32_t value = 0;
  for (const char c : text.substr(start, 5)) value = value * 10 + static_cast<uint32_t>(c - '0');
  return value;
}

}  // namespace

std::optional<ShardName> parse_shard_name(std::string_view path) {
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view ending = path.substr(path.size() - kPattern.size());
  if (!matches_pattern(ending)) return std::nullopt;

  ShardName name{.prefix = std::string(path.substr(0, path.size() - kPattern.size())),
                 .number = number_at(ending, kPattern.find('#')),
                 .count = number_at(ending, kPattern.rfind('#') - 4)};
  if (name.number < 1 || name.number > name.count) return std::nullopt;
  return name;
}

std::string to_path(const ShardName& name) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, name.number, name.count);
}

}  // namespace hypura
