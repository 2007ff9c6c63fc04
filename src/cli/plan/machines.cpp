#include "cli/plan/machines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/suggestion.h"
#include "cli/folders.h"
#include "engine/machine_probe.h"
#include "machine/profile_json.h"

namespace hypura::cli {
namespace {

struct Shipped {
  const char* name;
  const char* json;
};
constexpr Shipped kShipped[] = {
#include HYPURA_SHIPPED_MACHINES
};

constexpr uintmax_t kFileBytesMax = 1 << 20;

Result<MachineProfile> read_machine(const std::string& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return Status(StatusCode::failed, fmt::format("cannot read {}", path)).because(error.message());
  }
  if (bytes > kFileBytesMax) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("{}: a machine profile of {} bytes", path, bytes));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Result<MachineProfile> profile = parse_profile(text);
  if (profile.ok()) return profile;
  Status status(profile.status().code(), path + ": " + profile.status().message());
  return std::move(status).because(profile.status().why());
}

}  // namespace

std::optional<MachineProfile> known_machine(const std::string& model_path) {
  return load_kept_profile({.file = model_path, .profiles_folder = cache_folder("profiles")})
      .profile;
}

std::vector<std::string> shipped_machine_names() {
  std::vector<std::string> names;
  for (const Shipped& shipped : kShipped) names.emplace_back(shipped.name);
  return names;
}

Result<MachineProfile> find_machine(const std::string& name_or_file) {
  for (const Shipped& shipped : kShipped) {
    if (name_or_file == shipped.name) return parse_profile(shipped.json);
  }
  std::error_code ignored;
  if (std::filesystem::exists(name_or_file, ignored)) return read_machine(name_or_file);
  const std::string meant = closest(name_or_file, shipped_machine_names());
  return Status(StatusCode::invalid_argument,
                fmt::format("--machine {}: no such machine, nor a file", name_or_file))
      .suggest(meant.empty() ? fmt::format("{}", fmt::join(shipped_machine_names(), ", "))
                             : fmt::format("did you mean {}?", meant));
}

}  // namespace hypura::cli
