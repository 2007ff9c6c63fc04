#include "cli/output_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace hypura::cli {

Status check_output(const std::string& path, const std::string& option) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return Status();
  std::ifstream file(path, std::ios::binary);
  std::string magic(4, '\0');
  if (!file.read(magic.data(), std::ssize(magic)) || magic != "GGUF") return Status();
  return Status(StatusCode::invalid_argument, fmt::format("{} is a model", path))
      .suggest("another file for " + option);
}

Status write_file(const std::string& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return Status();
  const int error = errno == 0 ? EIO : errno;
  std::error_code ignored;  // a half of it would be taken for the whole
  if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::remove(path, ignored);
  return Status(StatusCode::failed, "cannot write " + path).because(std::strerror(error));
}

}  // namespace hypura::cli
