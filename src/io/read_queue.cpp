#include "io/read_queue.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/units.h"
#include "io/key_table.h"

namespace hypura {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
// In flight, at least one of them waited for: two keep a drive busy, more share its bandwidth.
constexpr uint32_t kWithDemand = 2;
constexpr uint32_t kChunkBytesMax = uint32_t{1} << 30;  // a kernel read takes less than 2 GiB

// One outstanding load. It is in one list: of its class while chunks are left to submit, of none
// while the last ones are in flight, of the finished ones until its result is taken.
struct Record {
  Load load;
  uint64_t next = 0;  // file offset of the next chunk
  uint64_t end = 0;   // of the widened range
  uint32_t in_flight = 0;
  bool started = false;  // a chunk was submitted
  bool queued = false;   // in its class's list
  bool finished = false;
  Status status;
  uint32_t list_prev = kNone;
  uint32_t list_next = kNone;
};

// Records linked by index, so that any can leave from the middle.
struct List {
  uint32_t first = kNone;
  uint32_t last = kNone;
};

void append(List& list, std::vector<Record>& records, uint32_t index) {
  records[index].list_prev = list.last;
  records[index].list_next = kNone;
  (list.last == kNone ? list.first : records[list.last].list_next) = index;
  list.last = index;
}

void remove(List& list, std::vector<Record>& records, uint32_t index) {
  const Record& record = records[index];
  (record.list_prev == kNone ? list.first : records[record.list_prev].list_next) = record.list_next;
  (record.list_next == kNone ? list.last : records[record.list_next].list_prev) = record.list_prev;
}

}  // namespace

struct ReadQueue::Impl {
  Impl(BlockDevice& block_device, const ReadQueueOptions& options);

  void promote(uint32_t index);
  void fill();
  ReadRequest next_chunk(uint32_t index);
  void collect(bool wait);
  void complete_chunk(const ReadResult& result);
  void finish(uint32_t index);
  void release(uint32_t index);
  List& class_list(const Record& record) {
    return queued[static_cast<size_t>(record.load.read_class)];
  }

  BlockDevice& device;
  const uint32_t alignment;
  const uint32_t chunk_bytes;
  const uint32_t demand_max;

  // All memory is taken here, once.
  std::vector<Record> records;
  std::vector<uint32_t> free;
  KeyTable by_key;                    // every outstanding load
  std::vector<ReadRequest> requests;  // scratch of fill()
  std::vector<ReadResult> results;    // scratch of collect()

  std::array<List, 2> queued;  // by ReadClass
  List finished;
  uint32_t demand_in_flight = 0;  // chunks
  ReadQueueStats stats;
};

ReadQueue::Impl::Impl(BlockDevice& block_device, const ReadQueueOptions& options)
    : device(block_device),
      alignment(block_device.alignment()),
      chunk_bytes(static_cast<uint32_t>(
          round_up(std::min(options.chunk_bytes, kChunkBytesMax), block_device.alignment()))),
      demand_max(options.demand_max),
      records(options.loads_max),
      by_key(options.loads_max),
      results(block_device.depth()) {
  HYPURA_CHECK(options.loads_max > 0);
  HYPURA_CHECK(options.chunk_bytes > 0);
  HYPURA_CHECK(options.demand_max > 0);
  free.reserve(options.loads_max);
  for (uint32_t i = options.loads_max; i > 0; --i) free.push_back(i - 1);
  requests.reserve(block_device.depth());
}

void ReadQueue::Impl::promote(uint32_t index) {
  Record& record = records[index];
  if (record.load.read_class == ReadClass::demand || record.finished) return;
  if (record.queued) remove(class_list(record), records, index);
  record.load.read_class = ReadClass::demand;
  if (record.queued) append(class_list(record), records, index);
  demand_in_flight += record.in_flight;
}

// Submits what demand reads may have in flight, or, once all of those were started, prefetches
// until the device is full; in one call.
void ReadQueue::Impl::fill() {
  const uint32_t room = device.depth() - device.in_flight();
  const List& demands = queued[static_cast<size_t>(ReadClass::demand)];
  const List& prefetches = queued[static_cast<size_t>(ReadClass::prefetch)];
  requests.clear();
  while (requests.size() < room && demands.first != kNone && demand_in_flight < demand_max) {
    requests.push_back(next_chunk(demands.first));
  }
  while (requests.size() < room && demands.first == kNone && prefetches.first != kNone) {
    requests.push_back(next_chunk(prefetches.first));
  }
  if (!requests.empty()) device.submit(requests);
}

// REQUIRES: the load is queued.
ReadRequest ReadQueue::Impl::next_chunk(uint32_t index) {
  Record& record = records[index];
  const Load& load = record.load;
  const uint64_t begin = record.next;
  const uint64_t end = std::min(record.end, begin + chunk_bytes);
  const uint64_t wanted_end = std::min(end, load.offset + load.bytes);
  record.next = end;
  record.started = true;
  ++record.in_flight;
  if (load.read_class == ReadClass::demand) ++demand_in_flight;
  if (end == record.end) {
    remove(class_list(record), records, index);
    record.queued = false;
  }
  return {.file = load.file,
          .offset = begin,
          .bytes = static_cast<uint32_t>(end - begin),
          .min_bytes = static_cast<uint32_t>(wanted_end - begin),
          .buffer = load.buffer + (begin - round_down(load.offset, alignment)),
          .tag = index};
}

void ReadQueue::Impl::collect(bool wait) {
  const size_t count = device.reap(results, wait);
  for (const ReadResult& result : std::span(results).first(count)) complete_chunk(result);
}

void ReadQueue::Impl::complete_chunk(const ReadResult& result) {
  const uint32_t index = static_cast<uint32_t>(result.tag);
  Record& record = records[index];
  HYPURA_CHECK(record.in_flight > 0);
  --record.in_flight;
  if (record.load.read_class == ReadClass::demand) --demand_in_flight;
  ++stats.reads;
  stats.bytes_delivered += result.bytes;
  if (!result.status.ok() && record.status.ok()) {
    record.status = result.status;
    if (record.queued) remove(class_list(record), records, index);  // drops the chunks left
    record.queued = false;
  }
  if (!record.queued && record.in_flight == 0) finish(index);
}

void ReadQueue::Impl::finish(uint32_t index) {
  Record& record = records[index];
  record.finished = true;
  ++stats.loads;
  if (!record.status.ok()) ++stats.failures;
  append(finished, records, index);
}

void ReadQueue::Impl::release(uint32_t index) {
  by_key.erase(records[index].load.key);
  records[index] = {};
  free.push_back(index);
}

ReadQueue::ReadQueue(BlockDevice& device, const ReadQueueOptions& options)
    : impl_(std::make_unique<Impl>(device, options)) {}

ReadQueue::~ReadQueue() {
  while (impl_->device.in_flight() > 0) impl_->collect(true);
}

uint64_t ReadQueue::buffer_bytes(uint64_t offset, uint64_t bytes) const {
  return round_up(offset + bytes, impl_->alignment) - round_down(offset, impl_->alignment);
}

bool ReadQueue::submit(const Load& load) {
  Impl& q = *impl_;
  HYPURA_CHECK(load.bytes > 0);
  HYPURA_CHECK(reinterpret_cast<uintptr_t>(load.buffer) % q.alignment == 0);
  if (const std::optional<uint32_t> known = q.by_key.find(load.key)) {
    // The bytes land in the first submitter's buffer: another one would never be written.
    HYPURA_CHECK(q.records[*known].load.buffer == load.buffer);
    if (load.read_class == ReadClass::demand) q.promote(*known);
    return true;
  }
  if (q.free.empty()) return false;
  const uint32_t index = q.free.back();
  q.free.pop_back();
  Record& record = q.records[index];
  record.load = load;
  record.next = round_down(load.offset, q.alignment);
  record.end = round_up(load.offset + load.bytes, q.alignment);
  record.queued = true;
  append(q.class_list(record), q.records, index);
  q.by_key.insert(load.key, index);
  return true;
}

void ReadQueue::promote(uint64_t key) {
  if (const std::optional<uint32_t> index = impl_->by_key.find(key)) impl_->promote(*index);
}

void ReadQueue::pump() {
  impl_->collect(false);
  impl_->fill();
}

std::optional<LoadResult> ReadQueue::take(bool wait) {
  Impl& q = *impl_;
  pump();
  while (q.finished.first == kNone) {
    if (!wait || outstanding() == 0) return std::nullopt;
    HYPURA_CHECK(q.device.in_flight() > 0);
    q.collect(true);
    q.fill();
  }
  const uint32_t index = q.finished.first;
  Record& record = q.records[index];
  remove(q.finished, q.records, index);
  LoadResult result{.key = record.load.key, .status = std::move(record.status)};
  q.release(index);
  return result;
}

size_t ReadQueue::outstanding() const { return impl_->by_key.size(); }
bool ReadQueue::has_room() const {
  for (const List& list : impl_->queued) {
    if (list.first != kNone) return false;
  }
  uint32_t most = std::min(impl_->device.depth(), impl_->demand_max);
  if (impl_->demand_in_flight > 0) most = std::min(most, kWithDemand);
  return impl_->device.in_flight() < most;
}
const ReadQueueStats& ReadQueue::stats() const { return impl_->stats; }

}  // namespace hypura
