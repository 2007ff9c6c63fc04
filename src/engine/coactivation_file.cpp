#include "engine/coactivation_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace hypura {
namespace {

// The first bytes of a file; the counts follow. Another layout gets another number.
struct Header {
  char magic[8] = {'H', 'Y', 'P', 'U', 'R', 'A', 'C', '1'};
  uint32_t layers = 0;
  uint32_t experts = 0;
};

// FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(const ModelIndex& index) {
  uint64_t hash = 14695981039346656037U;
  const auto add = [&](const void* data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211U;
    }
  };
  for (const TensorInfo& tensor : index.tensors()) {
    add(tensor.name.data(), tensor.name.size());
    add(&tensor.offset, sizeof tensor.offset);
    add(&tensor.bytes, sizeof tensor.bytes);
  }
  return hash;
}

}  // namespace

CoactivationFile::CoactivationFile(const std::string& folder, const ModelIndex& index)
    : path_(fmt::format("{}/{:016x}.coactivation", folder, hash_of(index))) {}

void CoactivationFile::read_into(Coactivation& table) const {
  std::ifstream file(path_, std::ios::binary);
  Header header;
  const Header expected{.layers = table.layers(), .experts = table.experts()};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return;
  if (std::memcmp(&header, &expected, sizeof header) != 0) return;
  std::vector<uint8_t> counts(table.counts().size());
  if (!file.read(reinterpret_cast<char*>(counts.data()), static_cast<std::streamsize>(counts.size()))) {
    return;
  }
  std::copy(counts.begin(), counts.end(), table.counts().begin());
}

Status CoactivationFile::write(const Coactivation& table) const {
  const std::string unfinished = fmt::format("{}.{}", path_, getpid());
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  errno = 0;
  {
    std::ofstream file(unfinished, std::ios::binary);
    const Header header{.layers = table.layers(), .experts = table.experts()};
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(reinterpret_cast<const char*>(table.counts().data()),
               static_cast<std::streamsize>(table.counts().size()));
    file.close();
    if (file) std::filesystem::rename(unfinished, path_, error);
    if (file && !error) return Status();
  }
  const int number = error ? error.value() : errno;
  std::filesystem::remove(unfinished, error);
  return Status(StatusCode::failed,
                fmt::format("cannot write {}: {}", path_, std::strerror(number)));
}

}  // namespace hypura
