#include "io/read_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "io/sim_device.h"
#include "io/test_support.h"

namespace hypura {
namespace {

constexpr uint32_t kBlock = kReadAlignment;

// Keeps what was asked for.
class RecordingDevice final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;

  void submit(std::span<const ReadRequest> requests) override {
    ++submits;
    asked.insert(asked.end(), requests.begin(), requests.end());
    ForwardingDevice::submit(requests);
  }

  int submits = 0;
  std::vector<ReadRequest> asked;
};

// A file, a device that answers in order, one buffer a key.
class ReadQueueTest : public testing::Test {
 protected:
  static constexpr uint64_t kSlotBytes = 64 * kBlock;

  void start(uint32_t depth, const ReadQueueOptions& options, SimFaults faults = {}) {
    queue_.reset();
    device_ = std::make_unique<RecordingDevice>(
        SimOptions{.depth = depth, .reorder = false, .faults = faults});
    file_id_ = *device_->open(file_.path());
    queue_ = std::make_unique<ReadQueue>(*device_, options);
  }
  // Key k wants bytes [k blocks + 100, + bytes).
  Load load(uint64_t key, ReadClass read_class, uint64_t bytes = 1000) {
    return {.key = key,
            .file = file_id_,
            .offset = key * kBlock + 100,
            .bytes = bytes,
            .buffer = buffers_.data() + key * kSlotBytes,
            .read_class = read_class};
  }
  std::vector<uint64_t> take_all() {
    std::vector<uint64_t> keys;
    while (const std::optional<LoadResult> result = queue_->take(true)) {
      EXPECT_TRUE(result->status.ok()) << result->status.to_string();
      keys.push_back(result->key);
    }
    EXPECT_EQ(queue_->outstanding(), 0u);
    return keys;
  }

  TempFile file_{40 * kBlock + 300};
  AlignedBuffer buffers_{40 * kSlotBytes};
  std::unique_ptr<RecordingDevice> device_;
  FileId file_id_;
  std::unique_ptr<ReadQueue> queue_;
};

constexpr ReadClass kDemand = ReadClass::demand;
constexpr ReadClass kPrefetch = ReadClass::prefetch;
using Keys = std::vector<uint64_t>;

TEST_F(ReadQueueTest, DemandGoesFirstThenFirstComeFirstServed) {
  start(1, {});
  for (const uint64_t key : {1, 2, 3}) EXPECT_TRUE(queue_->submit(load(key, kPrefetch)));
  for (const uint64_t key : {4, 5}) EXPECT_TRUE(queue_->submit(load(key, kDemand)));
  EXPECT_EQ(queue_->outstanding(), 5u);
  EXPECT_EQ(take_all(), (Keys{4, 5, 1, 2, 3}));
}

TEST_F(ReadQueueTest, DemandOvertakesAStartedPrefetch) {
  start(1, {.chunk_bytes = kBlock});
  EXPECT_TRUE(queue_->submit(load(1, kPrefetch, 8 * kBlock)));
  queue_->pump();
  EXPECT_TRUE(queue_->submit(load(2, kDemand)));
  EXPECT_EQ(take_all(), (Keys{2, 1}));
}

TEST_F(ReadQueueTest, PromotesWhatSomeoneWaitsFor) {
  start(1, {});
  for (const uint64_t key : {1, 2, 3, 4}) EXPECT_TRUE(queue_->submit(load(key, kPrefetch)));
  queue_->promote(3);
  EXPECT_TRUE(queue_->submit(load(4, kDemand)));    // promotes too
  EXPECT_TRUE(queue_->submit(load(3, kPrefetch)));  // does not demote
  queue_->promote(99);                              // unknown
  EXPECT_EQ(queue_->outstanding(), 4u);
  EXPECT_EQ(take_all(), (Keys{3, 4, 1, 2}));
}

TEST_F(ReadQueueTest, OnlySoManyDemandReadsAreInFlight) {
  start(8, {.demand_max = 2});
  EXPECT_TRUE(queue_->submit(load(9, kPrefetch)));
  for (const uint64_t key : {1, 2, 3}) EXPECT_TRUE(queue_->submit(load(key, kDemand)));
  queue_->pump();
  EXPECT_EQ(device_->in_flight(), 2u);
  EXPECT_FALSE(queue_->has_room());
  EXPECT_EQ(take_all(), (Keys{1, 2, 3, 9}));
  EXPECT_TRUE(queue_->has_room());
}

TEST_F(ReadQueueTest, BesideADemandReadThereIsRoomForOneThatFollows) {
  start(8, {.demand_max = 4});
  EXPECT_TRUE(queue_->submit(load(1, kDemand)));
  EXPECT_FALSE(queue_->has_room()) << "it was not started";
  queue_->pump();
  EXPECT_TRUE(queue_->has_room());
  EXPECT_TRUE(queue_->submit(load(2, kPrefetch)));
  queue_->pump();
  EXPECT_FALSE(queue_->has_room());
  EXPECT_EQ(take_all().size(), 2u);
  for (const uint64_t key : {1, 2, 3}) EXPECT_TRUE(queue_->submit(load(key, kPrefetch)));
  queue_->pump();
  EXPECT_TRUE(queue_->has_room()) << "nobody waits";
  EXPECT_EQ(take_all().size(), 3u);
}

TEST_F(ReadQueueTest, PrefetchesFillTheDevice) {
  start(8, {.demand_max = 2});
  for (uint64_t key = 0; key < 9; ++key) EXPECT_TRUE(queue_->submit(load(key, kPrefetch)));
  queue_->pump();
  EXPECT_EQ(device_->in_flight(), 8u);
  EXPECT_EQ(take_all().size(), 9u);
}

TEST_F(ReadQueueTest, APromotedLoadInFlightIsDemand) {
  start(8, {.demand_max = 1});
  EXPECT_TRUE(queue_->submit(load(1, kPrefetch)));
  queue_->pump();
  queue_->promote(1);
  EXPECT_TRUE(queue_->submit(load(2, kDemand)));
  EXPECT_TRUE(queue_->submit(load(3, kPrefetch)));
  queue_->pump();
  EXPECT_EQ(device_->in_flight(), 1u);
  EXPECT_EQ(take_all(), (Keys{1, 2, 3}));
}

TEST_F(ReadQueueTest, RefusesMoreThanLoadsMax) {
  start(2, {.loads_max = 3});
  for (const uint64_t key : {1, 2, 3}) EXPECT_TRUE(queue_->submit(load(key, kDemand)));
  EXPECT_FALSE(queue_->submit(load(4, kDemand)));
  EXPECT_TRUE(queue_->submit(load(3, kDemand)));  // known: no place needed
  EXPECT_TRUE(queue_->take(true).has_value());
  EXPECT_TRUE(queue_->submit(load(4, kDemand)));
  EXPECT_EQ(take_all().size(), 3u);
}

TEST_F(ReadQueueTest, FillsTheDeviceInOneCall) {
  start(8, {.chunk_bytes = 2 * kBlock});
  for (const uint64_t key : {0, 8, 16, 24}) {
    EXPECT_TRUE(queue_->submit(load(key, kDemand, 8 * kBlock - 100)));  // four chunks
  }
  EXPECT_EQ(device_->submits, 0);
  queue_->pump();
  EXPECT_EQ(device_->submits, 1);
  EXPECT_EQ(device_->asked.size(), 8u);
  EXPECT_EQ(device_->in_flight(), 8u);
  EXPECT_EQ(take_all().size(), 4u);
  EXPECT_EQ(queue_->stats().reads, 16u);
  EXPECT_EQ(queue_->stats().loads, 4u);
  EXPECT_EQ(queue_->stats().failures, 0u);
  EXPECT_EQ(queue_->stats().bytes_delivered, 32u * kBlock);
}

// Only wanted bytes have to exist: the last block of the file is not whole.
TEST_F(ReadQueueTest, CutsAtChunksAndAsksForWantedBytesOnly) {
  start(8, {.chunk_bytes = 2 * kBlock});
  const Load tail{.key = 1,
                  .file = file_id_,
                  .offset = 37 * kBlock + 5,
                  .bytes = file_.size() - 37 * kBlock - 5,
                  .buffer = buffers_.data()};
  EXPECT_EQ(queue_->buffer_bytes(tail.offset, tail.bytes), 4 * kBlock);
  EXPECT_TRUE(queue_->submit(tail));
  EXPECT_EQ(take_all(), (Keys{1}));
  EXPECT_TRUE(file_.matches(buffers_.data() + 5, tail.offset, tail.bytes));
  ASSERT_EQ(device_->asked.size(), 2u);
  EXPECT_EQ(device_->asked[0].offset, 37 * kBlock);
  EXPECT_EQ(device_->asked[0].min_bytes, 2 * kBlock);
  EXPECT_EQ(device_->asked[1].offset, 39 * kBlock);
  EXPECT_EQ(device_->asked[1].bytes, 2 * kBlock);
  EXPECT_EQ(device_->asked[1].min_bytes, kBlock + 300);
  EXPECT_EQ(queue_->stats().bytes_delivered, 3u * kBlock + 300);
}

TEST_F(ReadQueueTest, DeliversAnyAlignment) {
  start(4, {.chunk_bytes = kBlock});
  for (uint64_t offset = 0; offset < 2 * kBlock; offset += 97) {
    for (const uint64_t bytes :
         {uint64_t{1}, uint64_t{kBlock - 1}, uint64_t{kBlock}, uint64_t{2 * kBlock + 1}}) {
      EXPECT_TRUE(queue_->submit({.key = offset,
                                  .file = file_id_,
                                  .offset = offset,
                                  .bytes = bytes,
                                  .buffer = buffers_.data()}));
      EXPECT_EQ(take_all(), (Keys{offset}));
      ASSERT_TRUE(file_.matches(buffers_.data() + offset % kBlock, offset, bytes));
    }
  }
}

TEST_F(ReadQueueTest, AFailedLoadDropsItsOtherChunks) {
  start(2, {.chunk_bytes = kBlock}, {.eio_permanent = 1});
  EXPECT_TRUE(queue_->submit(load(1, kDemand, 20 * kBlock)));
  const std::optional<LoadResult> result = queue_->take(true);
  ASSERT_TRUE(result.has_value());
  EXPECT_NE(result->status.message().find("errno 5"), std::string::npos);
  EXPECT_EQ(device_->in_flight(), 0u);
  EXPECT_LE(device_->asked.size(), 4u);  // of 21
  EXPECT_EQ(queue_->stats().failures, 1u);
  EXPECT_FALSE(queue_->take(true).has_value());
}

TEST_F(ReadQueueTest, TakeWithoutWaitingReturnsAtOnce) {
  start(1, {}, {.latency_spike = 1});
  EXPECT_FALSE(queue_->take(false).has_value());
  EXPECT_FALSE(queue_->take(true).has_value());
  EXPECT_TRUE(queue_->submit(load(1, kDemand)));
  EXPECT_FALSE(queue_->take(false).has_value());
  EXPECT_EQ(device_->in_flight(), 1u);
  EXPECT_TRUE(queue_->take(true).has_value());
}

TEST_F(ReadQueueTest, WaitsForItsReadsWhenItGoes) {
  start(4, {.chunk_bytes = kBlock});
  EXPECT_TRUE(queue_->submit(load(1, kDemand, 20 * kBlock)));
  queue_->pump();
  queue_.reset();
  EXPECT_EQ(device_->in_flight(), 0u);
}

// One seed is one run: drawn loads, calls and faults, against a model of what is outstanding.
class Storm {
 public:
  Storm(uint64_t seed, const TempFile& file)
      : draw_(seed),
        file_(file),
        device_(make_sim_device({.seed = seed,
                                 .depth = 1 + below(12),
                                 .reorder = below(4) != 0,
                                 .faults = {.eio = 0.1,
                                            .eio_permanent = below(2) * 0.03,
                                            .short_read = 0.3,
                                            .eintr = 0.1,
                                            .latency_spike = 0.05}})),
        file_id_(*device_->open(file.path())),
        loads_max_(1 + below(kKeys)),
        queue_(*device_, {.chunk_bytes = kBlock * (1 + below(4)),
                          .loads_max = loads_max_,
                          .demand_max = 1 + below(8)}) {
    for (AlignedBuffer& buffer : buffers_) buffer.fill(kCanary);
  }

  void run() {
    for (int step = 0; step < 120 && !testing::Test::HasFailure(); ++step) act();
    while (std::optional<LoadResult> result = queue_.take(true)) check(*result);
    EXPECT_TRUE(wanted_.empty());
    EXPECT_EQ(queue_.outstanding(), 0u);
    EXPECT_EQ(device_->in_flight(), 0u);
    for (const AlignedBuffer& buffer : buffers_) EXPECT_TRUE(buffer.all(kCanary));
  }

 private:
  static constexpr uint32_t kKeys = 10;
  static constexpr uint64_t kBytesMax = 6 * kBlock;
  static constexpr int kCanary = 0x3C;

  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(draw_() % limit); }

  void act() {
    const uint64_t key = below(kKeys);
    switch (below(7)) {
      case 0:
        queue_.promote(key);
        break;
      case 1:
        queue_.pump();
        break;
      case 2:
      case 3:
        if (std::optional<LoadResult> result = queue_.take(below(2) == 0)) check(*result);
        break;
      default:
        submit(key);
    }
    EXPECT_EQ(queue_.outstanding(), wanted_.size());
    EXPECT_LE(device_->in_flight(), device_->depth());
  }

  void submit(uint64_t key) {
    Load load{.key = key, .file = file_id_, .buffer = buffers_[key].data()};
    load.read_class = below(2) == 0 ? kDemand : kPrefetch;
    load.offset = draw_() % file_.size();
    load.bytes = 1 + draw_() % std::min(kBytesMax, file_.size() - load.offset);
    const bool known = wanted_.contains(key);
    const bool taken = queue_.submit(load);
    EXPECT_EQ(taken, known || wanted_.size() < loads_max_);
    if (taken && !known) wanted_[key] = load;
  }

  void check(const LoadResult& result) {
    ASSERT_TRUE(wanted_.contains(result.key));
    const Load load = wanted_[result.key];
    wanted_.erase(result.key);
    AlignedBuffer& buffer = buffers_[result.key];
    if (result.status.ok()) {
      EXPECT_TRUE(file_.matches(load.buffer + load.offset % kBlock, load.offset, load.bytes));
    } else {
      EXPECT_NE(result.status.message().find(file_.path()), std::string::npos);
    }
    buffer.fill(kCanary);  // whoever writes to it from now on is caught
  }

  std::mt19937_64 draw_;
  const TempFile& file_;
  std::vector<AlignedBuffer> buffers_ = make_buffers();
  static std::vector<AlignedBuffer> make_buffers() {
    std::vector<AlignedBuffer> buffers;
    for (uint32_t i = 0; i < kKeys; ++i) buffers.emplace_back(kBytesMax + 2 * kBlock);
    return buffers;
  }
  std::unique_ptr<BlockDevice> device_;
  FileId file_id_;
  uint32_t loads_max_;
  std::map<uint64_t, Load> wanted_;
  ReadQueue queue_;
};

TEST(ReadQueueStorm, EveryLoadEndsExactOrFailed) {
  const TempFile file(50 * kBlock + 1234);
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Storm(seed, file).run();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hypura
