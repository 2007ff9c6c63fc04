#pragma once

// For tests only.

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/block_device.h"
#include "io/read_attempt.h"
#include "io/sim_device.h"

namespace hypura {

// Zeroed memory at kReadAlignment.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t bytes)
      : bytes_(bytes), data_(static_cast<std::byte*>(::operator new(bytes, kAlign))) {
    std::memset(data_, 0, bytes);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : bytes_(other.bytes_), data_(std::exchange(other.data_, nullptr)) {}
  AlignedBuffer& operator=(AlignedBuffer&&) = delete;
  ~AlignedBuffer() { ::operator delete(data_, kAlign); }

  std::byte* data() { return data_; }
  size_t size() const { return bytes_; }
  void fill(int value) { std::memset(data_, value, bytes_); }
  bool all(int value) const {
    return data_[0] == static_cast<std::byte>(value) &&
           std::memcmp(data_, data_ + 1, bytes_ - 1) == 0;
  }

 private:
  static constexpr std::align_val_t kAlign{kReadAlignment};
  size_t bytes_;
  std::byte* data_;
};

// A file of drawn bytes, in the directory the test runs in (the build's) unless told otherwise.
// Gone with the object.
class TempFile {
 public:
  explicit TempFile(size_t bytes, const std::string& directory = ".")
      : path_(directory + "/hypura_io_test.XXXXXX"), content_(bytes) {
    std::mt19937_64 draw(bytes);
    for (std::byte& byte : content_) byte = static_cast<std::byte>(draw() >> 56);
    const int fd = ::mkstemp(path_.data());
    HYPURA_CHECK(fd >= 0);
    HYPURA_CHECK(::write(fd, content_.data(), bytes) == static_cast<ssize_t>(bytes));
    ::close(fd);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { ::unlink(path_.c_str()); }

  const std::string& path() const { return path_; }
  size_t size() const { return content_.size(); }
  void truncate(size_t bytes) {
    HYPURA_CHECK(::truncate(path_.c_str(), static_cast<off_t>(bytes)) == 0);
  }
  // Whether `bytes` at `data` are the file's at `offset`.
  bool matches(const std::byte* data, uint64_t offset, size_t bytes) const {
    return offset + bytes <= content_.size() &&
           std::memcmp(data, content_.data() + offset, bytes) == 0;
  }

 private:
  std::string path_;
  std::vector<std::byte> content_;
};

// Passes everything on to a simulated device; tests override what they watch.
class ForwardingDevice : public BlockDevice {
 public:
  explicit ForwardingDevice(const SimOptions& options) : device_(make_sim_device(options)) {}

  const char* name() const override { return device_->name(); }
  Result<FileId> open(const std::string& path) override { return device_->open(path); }
  uint64_t file_bytes(FileId file) const override { return device_->file_bytes(file); }
  bool is_direct(FileId file) const override { return device_->is_direct(file); }
  uint32_t alignment() const override { return device_->alignment(); }
  uint32_t depth() const override { return device_->depth(); }
  uint32_t in_flight() const override { return device_->in_flight(); }
  void submit(std::span<const ReadRequest> requests) override { device_->submit(requests); }
  size_t reap(std::span<ReadResult> results, bool wait) override {
    return device_->reap(results, wait);
  }

 private:
  std::unique_ptr<BlockDevice> device_;
};

}  // namespace hypura
