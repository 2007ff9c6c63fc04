#include "base/replace_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace hypura {

std::error_code replace_file(const std::string& path, std::string_view content) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) return error;
  const std::string unfinished = fmt::format("{}.{}", path, ::getpid());
  errno = 0;
  std::ofstream file(unfinished, std::ios::binary);
  file.write(content.data(), std::ssize(content));
  file.close();
  if (!file) error.assign(errno == 0 ? EIO : errno, std::generic_category());
  if (!error) fs::rename(unfinished, path, error);
  std::error_code ignored;
  if (error) fs::remove(unfinished, ignored);
  return error;
}

}  // namespace hypura
