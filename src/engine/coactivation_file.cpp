#include "engine/coactivation_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/replace_file.h"
#include "engine/statistics_path.h"

namespace hypura {
namespace {

// The first bytes of a file; the counts follow. Another layout gets another number.
struct Header {
  char magic[8] = {'H', 'Y', 'P', 'U', 'R', 'A', 'C', '1'};
  uint32_t layers = 0;
  uint32_t experts = 0;
};

}  // namespace

CoactivationFile::CoactivationFile(const std::string& folder, const ModelIndex& index)
    : path_(statistics_path(folder, index, "coactivation")) {}

void CoactivationFile::read_into(Coactivation& table) const {
  std::ifstream file(path_, std::ios::binary);
  Header header;
  const Header expected{.layers = table.layers(), .experts = table.experts()};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return;
  if (std::memcmp(&header, &expected, sizeof header) != 0) return;
  std::vector<uint8_t> counts(table.counts().size());
  const auto count_bytes = static_cast<std::streamsize>(counts.size());
  if (!file.read(reinterpret_cast<char*>(counts.data()), count_bytes)) return;
  std::copy(counts.begin(), counts.end(), table.counts().begin());
}

Status CoactivationFile::write(const Coactivation& table) const {
  const Header header{.layers = table.layers(), .experts = table.experts()};
  std::string content(sizeof header + table.counts().size(), '\0');
  std::memcpy(content.data(), &header, sizeof header);
  std::copy(table.counts().begin(), table.counts().end(), content.begin() + sizeof header);
  const std::error_code error = replace_file(path_, content);
  if (!error) return Status();
  return Status(StatusCode::failed, fmt::format("cannot write {}: {}", path_, error.message()));
}

}  // namespace hypura
