#include "engine/heat_file.h"

#include <fmt/format.h>

#include <fstream>

#include "base/replace_file.h"
#include "engine/statistics_path.h"

namespace hypura {
namespace {

constexpr double kHeatMax = 10;

std::string path_of(const std::string& folder, const ModelIndex& index) {
  return statistics_path(folder, index, "heat");
}

}  // namespace

std::optional<double> read_heat(const std::string& folder, const ModelIndex& index) {
  if (folder.empty()) return std::nullopt;
  std::ifstream file(path_of(folder, index));
  double heat = 0;
  if (!(file >> heat) || !(heat >= 0 && heat <= kHeatMax)) return std::nullopt;
  return heat;
}

Status write_heat(const std::string& folder, const ModelIndex& index, double heat) {
  const std::string path = path_of(folder, index);
  const std::error_code error = replace_file(path, fmt::format("{:.3f}\n", heat));
  if (!error) return Status();
  return Status(StatusCode::failed, fmt::format("cannot write {}: {}", path, error.message()));
}

}  // namespace hypura
