#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "io/block_device.h"

namespace hypura {

class ReadAttempts;

// Owns a file descriptor; -1 is none.
class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  int get() const { return fd_; }

 private:
  int fd_;
};

// A regular file open for reading. Constant once opened, so any thread may use it.
struct OpenFile {
  UniqueFd fd;
  std::string path;
  uint64_t bytes = 0;   // when it was opened
  bool direct = false;  // reads go around the page cache

  uint64_t bytes_now() const;
};

// Opens for direct reads if `direct` and the file system takes them at kReadAlignment (tried with
// one read), else buffered.
Result<OpenFile> open_file(const std::string& path, bool direct);

// Reads `request` on the calling thread, with all its retries.
ReadResult read_now(const OpenFile& file, const ReadRequest& request);

// The result of a read that is done or failed.
ReadResult finish_read(const OpenFile& file, const ReadAttempts& attempts);

// The files of one device. Entries never move and are never closed before the table is, so workers
// may hold references; open() itself is confined to the device's thread.
class FileTable {
 public:
  static constexpr size_t kFilesMax = 1024;  // a model has one file a shard

  Result<FileId> open(const std::string& path, bool direct);
  // REQUIRES: an id from open().
  const OpenFile& operator[](FileId file) const;

 private:
  std::vector<std::unique_ptr<const OpenFile>> files_;
};

}  // namespace hypura
