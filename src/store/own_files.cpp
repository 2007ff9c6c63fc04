#include "store/own_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/units.h"
#include "model/shard_names.h"
#include "store/stored_model.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf";

Status failed(const char* what, const std::string& path, const std::error_code& error) {
  return Status(StatusCode::failed, fmt::format("cannot {} {}: {}", what, path, error.message()));
}

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

Status make_all(const std::vector<FileCopy>& files,
                Status (*make)(const std::string& from, const std::string& to)) {
  for (size_t i = 0; i < files.size(); ++i) {
    Status status = make(files[i].from, files[i].to);
    if (status.ok()) continue;
    std::error_code ignored;
    while (i-- > 0) fs::remove(files[i].to, ignored);
    return status;
  }
  return Status();
}

Status link_or_copy(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (!error) return Status();
  if (error == std::errc::file_exists) return failed("create", to, error);
  const uint64_t bytes = fs::file_size(from, error);
  if (error) return failed("read", from, error);
  if (Status status = check_room(fs::path(to).parent_path().string(), bytes); !status.ok()) {
    return status;
  }
  const std::string unfinished = to + ".copy";
  fs::copy_file(from, unfinished, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(unfinished, to, error);
  std::error_code ignored;
  if (error) fs::remove(unfinished, ignored);
  return error ? failed("copy the model to", to, error) : Status();
}

Status link_to(const std::string& from, const std::string& to) {
  std::error_code error;
  const fs::path target = fs::canonical(from, error);
  if (!error) fs::create_symlink(target, to, error);
  return error ? failed("create", to, error) : Status();
}

void remove_own(const OwnFiles& own, const std::string& like) {
  std::error_code ignored;
  for (const std::string& path : shards_of(like)) fs::remove(own.model_like(path), ignored);
  fs::remove(own.projector(), ignored);
  fs::remove(own.sidecar(), ignored);
}

Status check_room(const std::string& folder, uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= bytes) return Status();
  return Status(StatusCode::failed,
                fmt::format("not enough room in {}: {} are needed, {} are free", folder,
                            format_bytes(bytes), format_bytes(space.available)))
      .suggest("hypura rm MODEL, or HYPURA_MODELS=DIR on another drive");
}

}  // namespace hypura
