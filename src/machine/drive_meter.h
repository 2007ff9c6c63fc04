#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "io/block_device.h"

namespace hypura {

// A way of reading: `depth` reads of `read_bytes` in flight.
struct ReadWay {
  uint32_t read_bytes = 0;  // a multiple of the device's alignment
  uint32_t depth = 1;
  bool sequential = false;  // goes on where the last sequential read ended; else drawn places
};

struct MeteredReads {
  uint64_t bytes = 0;
  double seconds = 0;
  std::vector<double> latencies_us;  // of each read
  double gbps() const { return seconds > 0 ? static_cast<double>(bytes) * 1e-9 / seconds : 0; }
};

// Reads one file of a device in one way for a short while. The device's only user; confined to one
// thread. Device and memory outlive it.
class DriveMeter {
 public:
  using Clock = std::function<uint64_t()>;  // nanoseconds

  // Reads land in `memory`, aligned as the device wants.
  DriveMeter(BlockDevice& device, FileId file, std::span<std::byte> memory,
             Clock clock = now_ns);

  // Whether file, memory and device allow it.
  bool can(const ReadWay& way) const;

  // Starts reads for `seconds`, and twice `depth` of them at least, so that filling and draining
  // the queue does not show. REQUIRES: can(way). Errors: failed as the device says, interrupted
  // once *stop is set; `stop` may be null. Either way no read is in flight afterwards.
  Result<MeteredReads> measure(const ReadWay& way, double seconds,
                               const std::atomic<bool>* stop = nullptr);

 private:
  uint64_t next_offset(const ReadWay& way);

  BlockDevice& device_;
  FileId file_;
  std::span<std::byte> memory_;
  Clock clock_;
  uint64_t whole_bytes_ = 0;  // of the file, in aligned blocks
  uint64_t cursor_ = 0;       // of sequential reads
  std::mt19937_64 draw_{1};
};

}  // namespace hypura
