#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "model/model_index.h"
#include "residency/arena.h"
#include "residency/reader.h"

namespace hypura {

// What one measurement read, and how long it took.
struct RawRead {
  uint64_t bytes = 0;  // delivered by the device
  double seconds = 0;
  double gbps() const { return seconds > 0 ? static_cast<double>(bytes) * 1e-9 / seconds : 0; }
};

// How fast the drive delivers a model's weights when nothing else happens: the roof for streaming.
// Reads as streaming does, through the same reader, in the same chunks, into huge pages that are
// present, with the device's depth full. A measurement goes on where the last one ended, and around
// at the end of the model, so that no cache of the drive answers for it where the model is larger.
// Owns kReadChunkBytes of memory a read in flight. Confined to one thread; the device's only user.
// The device outlives it.
class RawBandwidth final : public LoadSink {
 public:
  static constexpr uint32_t kReadsMax = 64;

  using Clock = std::function<uint64_t()>;  // nanoseconds
  static Result<std::unique_ptr<RawBandwidth>> open(const ModelIndex& index, BlockDevice& device,
                                                    Clock clock = now_ns);

  // Reads `bytes`, rounded up to whole chunks; from 1 GiB on, filling and draining the queue (64
  // MiB) no longer shows. Errors: failed, or interrupted once *stop is set; `stop` may be null.
  Result<RawRead> measure(uint64_t bytes, const std::atomic<bool>* stop = nullptr);

  // False where the page cache, not the drive, may have answered.
  bool direct() const { return reader_.direct(); }

 private:
  RawBandwidth(Reader reader, Arena memory, Clock clock);
  FileRange next_chunk();
  void on_loaded(uint32_t slot, const Status& status) override;

  Reader reader_;
  Arena memory_;  // a chunk a slot
  Clock clock_;
  std::vector<FileRange> extents_;  // the weights, a range a shard, from a block's start
  size_t extent_ = 0;               // where the next chunk begins
  uint64_t offset_ = 0;             // in the extent
  std::vector<uint32_t> free_;      // slots
  Status error_;
};

}  // namespace hypura
