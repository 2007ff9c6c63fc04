#include "gguf_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/units.h"

namespace hypura {
namespace {

constexpr size_t kBufferBytes = 8 * kMiB;

}  // namespace

Result<std::unique_ptr<GgufStream>> GgufStream::create(std::string path,
                                                       const gguf_context& header) {
  std::unique_ptr<GgufStream> stream(new GgufStream(std::move(path), gguf_get_alignment(&header)));
  Status status = stream->open(header);
  if (!status.ok()) return status;
  return stream;
}

GgufStream::GgufStream(std::string path, uint64_t alignment)
    : path_(std::move(path)), part_(path_ + ".part"), alignment_(alignment) {
  buffer_.reserve(kBufferBytes);
}

GgufStream::~GgufStream() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(part_.c_str());
}

Status GgufStream::open(const gguf_context& header) {
  fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) return error("create");
  std::vector<std::byte> bytes(gguf_get_meta_size(&header));
  gguf_get_meta_data(&header, bytes.data());
  return append(bytes);
}

Status GgufStream::append(std::span<const std::byte> bytes) {
  written_ += bytes.size();
  while (!bytes.empty()) {
    const size_t taken = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
    bytes = bytes.subspan(taken);
    if (buffer_.size() < kBufferBytes) continue;
    Status status = flush();
    if (!status.ok()) return status;
  }
  return {};
}

Status GgufStream::skip(uint64_t bytes) {
  Status status = flush();
  if (!status.ok()) return status;
  written_ += bytes;
  const off_t end = static_cast<off_t>(written_);
  if (::ftruncate(fd_, end) != 0 || ::lseek(fd_, end, SEEK_SET) != end) return error("extend");
  return {};
}

Status GgufStream::end_tensor() {
  const std::vector<std::byte> padding(round_up(written_, alignment_) - written_);
  return append(padding);
}

Status GgufStream::finish() {
  Status status = flush();
  if (!status.ok()) return status;
  if (::fdatasync(fd_) != 0) return error("flush");
  if (::rename(part_.c_str(), path_.c_str()) != 0) return error("rename");
  ::close(std::exchange(fd_, -1));
  return {};
}

Status GgufStream::flush() {
  for (size_t at = 0; at < buffer_.size();) {
    const ssize_t count = ::write(fd_, buffer_.data() + at, buffer_.size() - at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error("write");
    at += static_cast<size_t>(count);
  }
  buffer_.clear();
  return {};
}

Status GgufStream::error(const char* action) const {
  return Status(StatusCode::failed,
                fmt::format("cannot {} {}: {}", action, part_, std::strerror(errno)));
}

}  // namespace hypura
