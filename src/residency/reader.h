#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "io/read_queue.h"
#include "model/model_index.h"

namespace hypura {

// What the drive is asked for in one read: larger ones gained nothing (1-2 MiB measured alike).
inline constexpr uint32_t kReadChunkBytes = 1 << 20;

// Who gets told that a slot's bytes arrived.
class LoadSink {
 public:
  virtual ~LoadSink() = default;
  virtual void on_loaded(uint32_t slot, const Status& status) = 0;
};

// A slice of a file, as a load needs it.
struct FileRange {
  uint32_t shard = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// The one way from residency to the drive: opens the shards, queues loads for its sinks, hands
// results back to them, and keeps the time someone waited. Confined to one thread at a time, like
// the queue below it.
class Reader {
 public:
  // REQUIRES: device outlives the reader.
  static Result<Reader> open(const ModelIndex& index, BlockDevice& device,
                             const ReadQueueOptions& options);

  // Sinks are few and live as long as the reader; the id goes into every load's key.
  uint32_t add_sink(LoadSink& sink);
  // For sinks that live shorter. REQUIRES: it was added last and nothing of it is outstanding.
  void remove_last_sink() { sinks_.pop_back(); }

  // Where in its buffer a slice's first byte lands.
  uint64_t lead(const FileRange& range) const { return range.offset % device_->alignment(); }

  // Queues a read into `buffer`, which holds widened_bytes(range.bytes). Waits while the queue is
  // full.
  void submit(uint32_t sink, uint32_t slot, const FileRange& range, std::byte* buffer,
              ReadClass read_class);
  void promote(uint32_t sink, uint32_t slot) { queue_->promote(key(sink, slot)); }

  // Starts and collects what is possible without waiting.
  void pump();
  // Waits for at least one load. REQUIRES: something is outstanding.
  void wait_one();
  // Reads `range` now into `buffer`, which holds widened_bytes(range.bytes).
  Status read_now(const FileRange& range, std::byte* buffer);

  bool idle() const { return queue_->outstanding() == 0; }
  size_t outstanding() const { return queue_->outstanding(); }  // loads
  // A prefetch submitted now would start at once and hold up little.
  bool has_room() const { return queue_->has_room(); }
  uint64_t stall_ns() const { return stall_ns_; }
  uint64_t waits() const { return waits_; }
  const ReadQueueStats& stats() const { return queue_->stats(); }
  uint64_t shard_bytes(uint32_t shard) const { return device_->file_bytes(files_[shard]); }
  bool direct() const;

 private:
  Reader(BlockDevice& device, const ReadQueueOptions& options);

  static uint64_t key(uint32_t sink, uint32_t slot) { return uint64_t{sink} << 32 | slot; }
  void deliver(const LoadResult& result);

  BlockDevice* device_;
  std::unique_ptr<ReadQueue> queue_;
  std::vector<FileId> files_;  // by shard
  std::vector<LoadSink*> sinks_;
  uint64_t stall_ns_ = 0;
  uint64_t waits_ = 0;
};

}  // namespace hypura
