#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "io/block_device.h"

namespace hypura {

// What every request's offset, length and buffer are multiples of, on every device: the page size
// of the file systems we read and the largest logical block in use. open_file() refuses direct
// reads where a drive asks for more.
inline constexpr uint32_t kReadAlignment = 4096;

enum class ReadNext : uint8_t { done, again, failed };

// The attempts of one read: what to ask for next, and what an answer means. Pure; each device asks
// its kernel, or its dice, and brings the answer here, so that all of them retry alike.
//   EINTR, EAGAIN, ECANCELED  again, kInterruptionsMax times (a thread that ends cancels the reads
//                             it started; whoever reaps starts them anew)
//   EIO                       again, kEioAttemptsMax attempts in all
//   short                     the rest, from the last aligned byte if the file is read directly
//   no progress               the file ends there: done if it has min_bytes, else failed
//   any other errno           failed
class ReadAttempts {
 public:
  static constexpr uint32_t kEioAttemptsMax = 3;
  static constexpr uint32_t kInterruptionsMax = 1000;
  static constexpr uint32_t kStallsMax = 3;  // short reads in a row that end inside one block

  ReadAttempts() = default;
  // REQUIRES: an aligned request. `direct`: continue short reads at multiples of kReadAlignment.
  ReadAttempts(const ReadRequest& request, bool direct);

  const ReadRequest& request() const { return request_; }

  // The next attempt. INVALIDATED BY: record().
  uint64_t offset() const { return request_.offset + done_bytes_; }
  uint32_t bytes() const { return request_.bytes - done_bytes_; }
  std::byte* buffer() const { return request_.buffer + done_bytes_; }

  // Takes an attempt's outcome: the bytes it read (0 at the end of the file), or -errno.
  ReadNext record(int64_t outcome);

  // After done or failed. `path` and `file_bytes`, the file's size now, are for the message.
  ReadResult result(const std::string& path, uint64_t file_bytes) const;
  bool failed() const { return failed_; }

 private:
  ReadNext record_error(int error);
  ReadNext record_bytes(uint32_t bytes);
  ReadNext fail(int error);

  ReadRequest request_;
  bool direct_ = false;
  bool failed_ = false;
  int error_ = 0;                 // of a failed read; 0: the file ended before min_bytes
  uint32_t done_bytes_ = 0;       // read and kept; the next attempt starts behind them
  uint32_t delivered_bytes_ = 0;  // of a read that is done
  uint32_t eio_ = 0;
  uint32_t interruptions_ = 0;
  uint32_t stalls_ = 0;
};

// "Input/output error (errno 5)"
std::string describe_errno(int error);

}  // namespace hypura
