#include "store/own_files.h"

#include <optional>
#include <string_view>

#include "model/shard_names.h"

namespace hypura {
namespace {

constexpr std::string_view kSuffix = ".gguf";

}  // namespace

std::string OwnFiles::model_like(const std::string& path) const {
  std::optional<ShardName> shard = parse_shard_name(path);
  if (!shard.has_value()) return stem_path + std::string(kSuffix);
  shard->prefix = stem_path;
  return to_path(*shard);
}

OwnFiles own_files_of(const std::string& path) {
  if (const std::optional<ShardName> shard = parse_shard_name(path)) return {shard->prefix};
  return {path.substr(0, path.size() - kSuffix.size())};
}

}  // namespace hypura
