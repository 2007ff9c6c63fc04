#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "io/block_device.h"

namespace hypura {

enum class ReadClass : uint8_t {
  demand,    // someone waits
  prefetch,  // advisory: starts only when no demand read is queued
};

// One slice to read: [offset, offset + bytes) of a file, any alignment. The queue widens the range
// to the device's alignment and reads it to `buffer`, which is aligned and holds
// ReadQueue::buffer_bytes(); the first wanted byte lands at buffer + offset % alignment.
struct Load {
  uint64_t key = 0;  // dedup: one load per key is outstanding
  FileId file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::byte* buffer = nullptr;
  ReadClass read_class = ReadClass::demand;
};

struct LoadResult {
  uint64_t key = 0;
  Status status;
};

struct ReadQueueOptions {
  uint32_t chunk_bytes = 1 << 20;  // a load is read in pieces of this size
  uint32_t loads_max = 4096;       // outstanding together
  // Demand reads in flight: more bring no bandwidth, and each then arrives later
  // (docs/experiments.md).
  uint32_t demand_max = 8;
};

struct ReadQueueStats {
  uint64_t bytes_delivered = 0;  // what the device returned, alignment padding included
  uint64_t reads = 0;
  uint64_t loads = 0;
  uint64_t failures = 0;
};

// Orders and bounds loads in front of one BlockDevice: demand before prefetch, first come first
// served within a class, each cut into chunks. Prefetches fill the device's depth, so that the
// drive is busy while nobody looks; demand reads come in order, a few at a time. A load is complete
// when all its chunks are; it fails with the first chunk that does, after the others ended, so
// that its buffer is never written to after its result was taken.
// Confined to one thread at a time. Does not own the device, whose only user it is, or the buffers.
class ReadQueue {
 public:
  ReadQueue(BlockDevice& device, const ReadQueueOptions& options);
  ~ReadQueue();  // waits for reads in flight

  // Bytes a buffer needs for [offset, offset + bytes), widened on both sides.
  uint64_t buffer_bytes(uint64_t offset, uint64_t bytes) const;

  // False when loads_max is reached. A key already outstanding is only promoted to demand if asked.
  // REQUIRES: bytes > 0, and for such a key the buffer it has.
  bool submit(const Load& load);
  // A queued prefetch someone now waits for.
  void promote(uint64_t key);

  // Starts what the device has room for and collects what finished. Never waits.
  void pump();
  // The next finished load; waits for one if `wait` and any is outstanding.
  std::optional<LoadResult> take(bool wait);

  size_t outstanding() const;  // submitted, result not yet taken
  // A prefetch would start at once and hold up little: all loads were started, and so few are in
  // flight that the drive would soon idle.
  bool has_room() const;
  const ReadQueueStats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hypura
