#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hypura {

// A file of a split model: "PREFIX-00002-of-00005.gguf".
struct ShardName {
  std::string prefix;
  uint32_t number = 0;  // from 1
  uint32_t count = 0;
};

// nullopt if `path` does not end as shards do, or its numbers are not 1 <= number <= count.
std::optional<ShardName> parse_shard_name(std::string_view path);
std::string to_path(const ShardName& name);

}  // namespace hypura
