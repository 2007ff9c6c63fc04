#include "io/read_attempt.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "base/units.h"

namespace hypura {

std::string describe_errno(int error) {
  return fmt::format("{} (errno {})", std::generic_category().message(error), error);
}

ReadAttempts::ReadAttempts(const ReadRequest& request, bool direct)
    : request_(request), direct_(direct) {
  HYPURA_CHECK(request.bytes > 0);
  HYPURA_CHECK(request.bytes % kReadAlignment == 0);
  HYPURA_CHECK(request.offset % kReadAlignment == 0);
  HYPURA_CHECK(reinterpret_cast<uintptr_t>(request.buffer) % kReadAlignment == 0);
  HYPURA_CHECK(request.min_bytes <= request.bytes);
}

ReadNext ReadAttempts::record(int64_t outcome) {
  if (outcome < 0) return record_error(static_cast<int>(-outcome));
  HYPURA_CHECK(outcome <= bytes());
  return record_bytes(static_cast<uint32_t>(outcome));
}

ReadNext ReadAttempts::record_error(int error) {
  if (error == EINTR || error == EAGAIN || error == ECANCELED) {
    return ++interruptions_ < kInterruptionsMax ? ReadNext::again : fail(error);
  }
  if (error == EIO) return ++eio_ < kEioAttemptsMax ? ReadNext::again : fail(error);
  return fail(error);
}

ReadNext ReadAttempts::record_bytes(uint32_t bytes) {
  if (done_bytes_ + bytes >= request_.min_bytes) {
    delivered_bytes_ = done_bytes_ + bytes;
    return ReadNext::done;
  }
  if (bytes == 0) return fail(0);
  const uint32_t kept = direct_ ? static_cast<uint32_t>(round_down(bytes, kReadAlignment)) : bytes;
  if (kept == 0) return ++stalls_ < kStallsMax ? ReadNext::again : fail(0);
  stalls_ = 0;
  done_bytes_ += kept;
  return ReadNext::again;
}

ReadNext ReadAttempts::fail(int error) {
  failed_ = true;
  error_ = error;
  return ReadNext::failed;
}

ReadResult ReadAttempts::result(const std::string& path, uint64_t file_bytes) const {
  if (!failed_) return {.tag = request_.tag, .bytes = delivered_bytes_, .status = {}};
  if (error_ == 0) {
    Status shrank(StatusCode::failed,
                  fmt::format("file shrank while reading: {} has {} bytes, needed {} at offset {}",
                              path, file_bytes, request_.min_bytes, request_.offset));
    shrank.suggest("download or copy the file again, and leave it alone while it is in use");
    return {.tag = request_.tag, .bytes = 0, .status = std::move(shrank)};
  }
  const uint32_t attempts = error_ == EIO ? eio_ : interruptions_;
  std::string message =
      fmt::format("read failed: {} at offset {}: {}", path, offset(), describe_errno(error_));
  if (attempts > 1) message += fmt::format(" after {} attempts", attempts);
  return {.tag = request_.tag, .bytes = 0, .status = {StatusCode::failed, std::move(message)}};
}

}  // namespace hypura
