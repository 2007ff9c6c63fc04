#include "model/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace hypura {
namespace {

Status cannot(const char* verb, const std::string& path, int error) {
  return Status(StatusCode::failed, fmt::format("cannot {} {}", verb, path))
      .because(std::strerror(error));
}

}  // namespace

Result<ModelFile> ModelFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO without a writer returns at once. Regular files ignore it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return cannot("open", path, errno);
  ModelFile file(path, fd);

  struct stat info = {};
  if (fstat(fd, &info) != 0) return cannot("stat", path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Status(StatusCode::failed, path + " is a directory, not a model file")
        .suggest("name a .gguf file in it; of a split model, any shard");
  }
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::failed, path + " is not a regular file")
        .because("weights are read at random offsets, which pipes and devices cannot do");
  }
  if (info.st_size == 0) {
    return invalid_model(path, "the file is empty").suggest("download it again");
  }
  file.bytes_ = static_cast<uint64_t>(info.st_size);
  return file;
}

ModelFile::ModelFile(ModelFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}

ModelFile::~ModelFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status ModelFile::read_at(uint64_t offset, void* data, size_t size) const {
  char* out = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::pread(fd_, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot("read", path_, errno);
    if (got == 0) return invalid_model(path_, fmt::format("the file shrank to {} bytes", offset));
    out += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return {};
}

Status invalid_model(const std::string& path, const std::string& what) {
  return Status(StatusCode::invalid_model, path + ": " + what);
}

}  // namespace hypura
