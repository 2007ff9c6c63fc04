#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/status.h"

namespace hypura {

// One read. offset, bytes and buffer are multiples of BlockDevice::alignment(). The range may run
// past the end of the file; at least min_bytes of it must exist, or the read fails.
struct ReadRequest {
  FileId file;
  uint64_t offset = 0;
  uint32_t bytes = 0;
  uint32_t min_bytes = 0;
  std::byte* buffer = nullptr;
  uint64_t tag = 0;  // returned with the result, not interpreted
};

struct ReadResult {
  uint64_t tag = 0;
  uint32_t bytes = 0;  // delivered; >= min_bytes when status is ok
  Status status;       // on failure names the path, the offset and errno
};

// Reads files asynchronously. Retries what is transient (EINTR, EAGAIN, short reads, a bounded
// number of EIO) before it reports a failure; a result is final.
// Confined to one thread at a time. Files stay open as long as the device lives; buffers must
// outlive their reads; the destructor waits for reads in flight.
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  // "io_uring", "pread", "sim": for the summary line.
  virtual const char* name() const = 0;

  // Opens for direct reads, or buffered where the file system refuses O_DIRECT.
  virtual Result<FileId> open(const std::string& path) = 0;
  virtual uint64_t file_bytes(FileId file) const = 0;
  // False where the file is read through the page cache. REQUIRES: an id from open().
  virtual bool is_direct(FileId file) const = 0;

  // What offsets, lengths and buffers must be multiples of; a power of two, at most 4096.
  virtual uint32_t alignment() const = 0;
  // Most reads in flight at once.
  virtual uint32_t depth() const = 0;
  virtual uint32_t in_flight() const = 0;

  // Starts reads. REQUIRES: in_flight() + requests.size() <= depth(). Never blocks on the drive.
  virtual void submit(std::span<const ReadRequest> requests) = 0;

  // Moves finished reads into `results` and returns how many. Waits until at least one finished
  // if `wait` and reads are in flight.
  virtual size_t reap(std::span<ReadResult> results, bool wait) = 0;
};

// No drive we know gains beyond a few hundred reads in flight.
inline constexpr uint32_t kDeviceDepthMax = 4096;

struct BlockDeviceOptions {
  uint32_t depth = 32;     // 1 .. kDeviceDepthMax; what lies outside is clamped
  bool direct = true;       // false: always through the page cache
  bool allow_uring = true;  // false: the pread pool
};

// io_uring where the kernel allows it, else a pool of threads that pread (macOS: F_NOCACHE).
std::unique_ptr<BlockDevice> make_block_device(const BlockDeviceOptions& options);

}  // namespace hypura
