#include "io/sim_device.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "io/open_file.h"
#include "io/read_attempt.h"

namespace hypura {
namespace {

constexpr int kUnreaped = 0xA5;
constexpr uint64_t kSpikeFactor = 1000;

// One stream of draws for each read, seeded by (seed, read's number), so that what a read meets
// does not depend on how far others got. SplitMix64 (Steele, Lea, Flood 2014).
class Dice {
 public:
  Dice(uint64_t seed, uint64_t sequence) : state_(seed * 0xD1342543DE82EF95u + sequence) { draw(); }

  uint64_t draw() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // [0, limit). REQUIRES: limit > 0.
  uint64_t below(uint64_t limit) { return draw() % limit; }
  bool chance(double probability) {
    return static_cast<double>(draw() >> 11) * 0x1p-53 < probability;
  }

 private:
  uint64_t state_;
};

// Everything about a read is drawn at submit(), its attempts included: when it is due and whether
// it fails. At reap() a read that shall succeed reads the file for real.
class SimDevice final : public BlockDevice {
 public:
  explicit SimDevice(const SimOptions& options);

  const char* name() const override { return "sim"; }
  Result<FileId> open(const std::string& path) override { return files_.open(path, false); }
  uint64_t file_bytes(FileId file) const override { return files_[file].bytes; }
  bool is_direct(FileId file) const override { return files_[file].direct; }
  uint32_t alignment() const override { return kReadAlignment; }
  uint32_t depth() const override { return options_.depth; }
  uint32_t in_flight() const override { return static_cast<uint32_t>(reads_.size()); }

  void submit(std::span<const ReadRequest> requests) override;
  size_t reap(std::span<ReadResult> results, bool wait) override;

 private:
  struct Read {
    ReadAttempts attempts;
    uint64_t due_ns = 0;
    uint64_t sequence = 0;
  };

  Read play(const ReadRequest& request);
  int64_t play_attempt(Dice& dice, const ReadAttempts& attempts, uint64_t file_bytes) const;
  uint64_t draw_latency_ns(Dice& dice) const;
  ReadResult complete(const Read& read) const;

  const SimOptions options_;
  FileTable files_;
  std::vector<Read> reads_;  // in flight; at most depth
  Dice clock_dice_;
  uint64_t now_ns_ = 0;
  uint64_t last_due_ns_ = 0;
  uint64_t sequence_ = 0;
};

SimDevice::SimDevice(const SimOptions& options) : options_(options), clock_dice_(options.seed, 0) {
  HYPURA_CHECK(options.depth > 0);
  HYPURA_CHECK(options.depth <= kDeviceDepthMax);
  reads_.reserve(options.depth);
}

void SimDevice::submit(std::span<const ReadRequest> requests) {
  HYPURA_CHECK(in_flight() + requests.size() <= depth());
  for (const ReadRequest& request : requests) {
    reads_.push_back(play(request));
    std::memset(request.buffer, kUnreaped, request.bytes);
  }
}

// A look at the device takes up to one latency of virtual time; a wait, as long as it needs.
size_t SimDevice::reap(std::span<ReadResult> results, bool wait) {
  now_ns_ += clock_dice_.below(options_.latency_ns + 1);
  size_t count = 0;
  while (count < results.size() && !reads_.empty()) {
    const auto first =
        std::min_element(reads_.begin(), reads_.end(), [](const Read& a, const Read& b) {
          return a.due_ns != b.due_ns ? a.due_ns < b.due_ns : a.sequence < b.sequence;
        });
    if (first->due_ns > now_ns_ && (count > 0 || !wait)) break;
    now_ns_ = std::max(now_ns_, first->due_ns);
    results[count++] = complete(*first);
    *first = reads_.back();
    reads_.pop_back();
  }
  return count;
}

// Draws a read's whole history.
SimDevice::Read SimDevice::play(const ReadRequest& request) {
  Dice dice(options_.seed, ++sequence_);
  Read read{.attempts = {request, true}, .due_ns = now_ns_, .sequence = sequence_};
  const uint64_t file_bytes = files_[request.file].bytes_now();
  const bool never = dice.chance(options_.faults.eio_permanent);
  ReadNext next = ReadNext::again;
  while (next == ReadNext::again) {
    read.due_ns += draw_latency_ns(dice);
    next = read.attempts.record(never ? -EIO : play_attempt(dice, read.attempts, file_bytes));
  }
  if (!options_.reorder) read.due_ns = std::max(read.due_ns, last_due_ns_);
  last_due_ns_ = read.due_ns;
  return read;
}

// One attempt's outcome: bytes, or -errno. A short read delivers at least one block, as drives do.
int64_t SimDevice::play_attempt(Dice& dice, const ReadAttempts& attempts,
                                uint64_t file_bytes) const {
  if (dice.chance(options_.faults.eintr)) return -EINTR;
  if (dice.chance(options_.faults.eio)) return -EIO;
  if (attempts.offset() >= file_bytes) return 0;
  const uint64_t whole = std::min<uint64_t>(attempts.bytes(), file_bytes - attempts.offset());
  if (whole <= kReadAlignment || !dice.chance(options_.faults.short_read)) {
    return static_cast<int64_t>(whole);
  }
  return static_cast<int64_t>(kReadAlignment + dice.below(whole - kReadAlignment));
}

uint64_t SimDevice::draw_latency_ns(Dice& dice) const {
  const uint64_t usual = options_.latency_ns / 2 + dice.below(options_.latency_ns + 1);
  return dice.chance(options_.faults.latency_spike) ? usual * kSpikeFactor : usual;
}

ReadResult SimDevice::complete(const Read& read) const {
  const OpenFile& file = files_[read.attempts.request().file];
  return read.attempts.failed() ? finish_read(file, read.attempts)
                                : read_now(file, read.attempts.request());
}

}  // namespace

std::unique_ptr<BlockDevice> make_sim_device(const SimOptions& options) {
  return std::make_unique<SimDevice>(options);
}

}  // namespace hypura
