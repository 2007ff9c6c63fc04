#include "residency/reader.h"

#include "base/check.h"
#include "base/clock.h"

namespace hypura {
namespace {

class Waiter final : public LoadSink {
 public:
  void on_loaded(uint32_t, const Status& status) override {
    done = true;
    result = status;
  }
  bool done = false;
  Status result;
};

}  // namespace

Reader::Reader(BlockDevice& device, const ReadQueueOptions& options)
    : device_(&device), queue_(std::make_unique<ReadQueue>(device, options)) {}

Result<Reader> Reader::open(const ModelIndex& index, BlockDevice& device,
                            const ReadQueueOptions& options) {
  Reader reader(device, options);
  for (const Shard& shard : index.shards()) {
    Result<FileId> file = device.open(shard.path);
    if (!file.ok()) return file.status();
    reader.files_.push_back(*file);
  }
  return reader;
}

uint32_t Reader::add_sink(LoadSink& sink) {
  sinks_.push_back(&sink);
  return static_cast<uint32_t>(sinks_.size() - 1);
}

void Reader::submit(uint32_t sink, uint32_t slot, const FileRange& range, std::byte* buffer,
                    ReadClass read_class) {
  const Load load{.key = key(sink, slot),
                  .file = files_[range.shard],
                  .offset = range.offset,
                  .bytes = range.bytes,
                  .buffer = buffer,
                  .read_class = read_class};
  while (!queue_->submit(load)) wait_one();
}

void Reader::pump() {
  queue_->pump();
  while (const std::optional<LoadResult> result = queue_->take(false)) deliver(*result);
}

void Reader::wait_one() {
  const uint64_t start_ns = now_ns();
  const std::optional<LoadResult> result = queue_->take(true);
  HYPURA_CHECK(result.has_value());
  stall_ns_ += now_ns() - start_ns;
  ++waits_;
  deliver(*result);
  pump();
}

Status Reader::read_now(const FileRange& range, std::byte* buffer) {
  Waiter waiter;
  const uint32_t sink = add_sink(waiter);
  submit(sink, 0, range, buffer, ReadClass::demand);
  while (!waiter.done) wait_one();
  remove_last_sink();
  return waiter.result;
}

bool Reader::direct() const {
  for (const FileId file : files_) {
    if (!device_->is_direct(file)) return false;
  }
  return true;
}

void Reader::deliver(const LoadResult& result) {
  const uint32_t sink = static_cast<uint32_t>(result.key >> 32);
  HYPURA_CHECK(sink < sinks_.size());
  sinks_[sink]->on_loaded(static_cast<uint32_t>(result.key), result.status);
}

}  // namespace hypura
