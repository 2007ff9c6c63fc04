#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "io/open_file.h"

namespace hypura {

// A file of random bytes to read from, for want of a model. On Linux it has no name, so that
// nothing is left behind however the process ends; elsewhere the destructor removes it.
class ScratchFile {
 public:
  struct Options {
    std::string folder;
    uint64_t bytes = uint64_t{1} << 30;  // less where half of what is free is less
    double seconds_max = 3;              // a slow drive gets a smaller file
    const std::atomic<bool>* stop = nullptr;
  };
  // Writes around the page cache where that works. `buffer` is for the writes: aligned, 4 MiB or
  // more. Errors: failed with the folder and errno (a full drive among them), interrupted.
  static Result<ScratchFile> create(const Options& options, std::span<std::byte> buffer);

  ScratchFile(ScratchFile&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::exchange(other.path_, {})),
        named_(std::exchange(other.named_, false)),
        bytes_(other.bytes_) {}
  ScratchFile& operator=(ScratchFile&&) = delete;
  ~ScratchFile();

  // Opens the file, within this process, while this object lives.
  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

 private:
  ScratchFile() = default;
  int make(const std::string& folder);
  int write_random(const Options& options, std::span<std::byte> buffer);

  UniqueFd fd_;
  std::string path_;
  bool named_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace hypura
