#include "residency/raw_bandwidth.h"

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "model/layout.h"

namespace hypura {
namespace {

// Of each shard the part that holds tensors; a shard may hold none.
std::vector<FileRange> weights_of(const ModelIndex& index) {
  std::vector<FileRange> extents;
  for (uint32_t shard = 0; shard < index.shards().size(); ++shard) {
    uint64_t end = 0;
    for (const TensorInfo& tensor : index.tensors()) {
      if (tensor.shard == shard) end = std::max(end, tensor.offset + tensor.bytes);
    }
    const uint64_t begin = round_down(index.shards()[shard].data_offset, kBlockBytes);
    if (end > begin) extents.push_back({.shard = shard, .offset = begin, .bytes = end - begin});
  }
  return extents;
}

}  // namespace

Result<std::unique_ptr<RawBandwidth>> RawBandwidth::open(const ModelIndex& index,
                                                         BlockDevice& device, Clock clock) {
  Result<Reader> reader = Reader::open(index, device, {.chunk_bytes = kReadChunkBytes});
  if (!reader.ok()) return reader.status();
  const uint64_t slots = std::min(device.depth(), kReadsMax);
  Result<Arena> memory = Arena::create(slots * kReadChunkBytes);
  if (!memory.ok()) return memory.status();
  std::unique_ptr<RawBandwidth> raw(
      new RawBandwidth(*std::move(reader), *std::move(memory), std::move(clock)));
  raw->extents_ = weights_of(index);
  if (raw->extents_.empty()) {
    return Status(StatusCode::invalid_model, "the model has no weights to read");
  }
  return raw;
}

RawBandwidth::RawBandwidth(Reader reader, Arena memory, Clock clock)
    : reader_(std::move(reader)), memory_(std::move(memory)), clock_(std::move(clock)) {
  reader_.add_sink(*this);
  for (uint32_t slot = 0; slot < memory_.bytes() / kReadChunkBytes; ++slot) free_.push_back(slot);
}

FileRange RawBandwidth::next_chunk() {
  const FileRange& extent = extents_[extent_];
  const FileRange chunk{.shard = extent.shard,
                        .offset = extent.offset + offset_,
                        .bytes = std::min<uint64_t>(kReadChunkBytes, extent.bytes - offset_)};
  offset_ += chunk.bytes;
  if (offset_ == extent.bytes) {
    extent_ = (extent_ + 1) % extents_.size();
    offset_ = 0;
  }
  return chunk;
}

void RawBandwidth::on_loaded(uint32_t slot, const Status& status) {
  free_.push_back(slot);
  if (!status.ok()) error_ = status;
}

Result<RawRead> RawBandwidth::measure(uint64_t bytes, const std::atomic<bool>* stop) {
  const auto stopped = [&] { return stop != nullptr && stop->load(std::memory_order_relaxed); };
  error_ = Status();
  const uint64_t delivered_before = reader_.stats().bytes_delivered;
  const uint64_t start_ns = clock_();
  for (uint64_t asked = 0; asked < bytes && error_.ok() && !stopped();) {
    while (free_.empty()) reader_.wait_one();
    const FileRange chunk = next_chunk();
    const uint32_t slot = free_.back();
    free_.pop_back();
    reader_.submit(0, slot, chunk, memory_.data() + uint64_t{slot} * kReadChunkBytes,
                   ReadClass::prefetch);
    reader_.pump();
    asked += chunk.bytes;
  }
  while (!reader_.idle()) reader_.wait_one();
  const double seconds = static_cast<double>(clock_() - start_ns) * 1e-9;
  if (!error_.ok()) return error_;
  if (stopped()) return Status(StatusCode::interrupted, "interrupted while measuring the drive");
  return RawRead{.bytes = reader_.stats().bytes_delivered - delivered_before, .seconds = seconds};
}

}  // namespace hypura
