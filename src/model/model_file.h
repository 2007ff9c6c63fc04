#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace hypura {

// A regular file open for reading; owns its descriptor. Move-only, used by one thread.
class ModelFile {
 public:
  // Never blocks on a FIFO: whatever is not a regular file is refused. Errors: failed with errno's
  // text, invalid_model for an empty file.
  static Result<ModelFile> open(const std::string& path);

  ModelFile(ModelFile&& other) noexcept;
  ModelFile& operator=(ModelFile&&) = delete;
  ~ModelFile();

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }
  int fd() const { return fd_; }

  // Fills `data` from `offset`. REQUIRES: offset + size <= bytes(). Fails if the file has shrunk.
  Status read_at(uint64_t offset, void* data, size_t size) const;

 private:
  ModelFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

// "PATH: WHAT", for content that is not a model we can trust.
Status invalid_model(const std::string& path, const std::string& what);

}  // namespace hypura
