#include "residency/slice_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/units.h"
#include "model/layout.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

uint64_t bytes_of(const SliceSource& source, const SlicePoolOptions& options) {
  return source.slice_bytes > 0 ? source.slice_bytes : options.slice_bytes;
}

class SlicePoolTest : public testing::Test {
 protected:
  void start(const SlicePoolOptions& options, const SimOptions& device = {}) {
    pool_.reset();
    reader_.reset();
    options_ = options;
    device_ = std::make_unique<BoundedDevice>(device);
    reader_ = std::make_unique<Reader>(
        *Reader::open(model_.index(), *device_, {.chunk_bytes = 4096}));
    pool_ = *SlicePool::create(*reader_, options_);
  }
  // Sources of both shards, each as deep in its block as no other.
  static SlicePoolOptions in_place(uint32_t slots) {
    return {.slice_bytes = 8192,
            .slots = slots,
            .sources = {{.shard = 0, .offset = 512, .count = 4},
                        {.shard = 1, .offset = 4095, .count = 3},
                        {.shard = 0, .offset = 40960, .count = 2}}};
  }
  static SlicePoolOptions packed(uint32_t slots, uint32_t staging_slots) {
    return {.slice_bytes = 5001,
            .slots = slots,
            .packed = true,
            .staging_slots = staging_slots,
            .sources = {{.shard = 0, .offset = 544, .count = 6},
                        {.shard = 1, .offset = 10'001, .count = 4}}};
  }

  FileRange range(uint32_t source, uint32_t index) const {
    const SliceSource& from = options_.sources[source];
    return {.shard = from.shard,
            .offset = from.offset + index * bytes_of(from, options_),
            .bytes = bytes_of(from, options_)};
  }
  const std::byte* bytes(const Lease& lease, uint32_t source) const {
    return pool_->base(source) + lease.slot().value * pool_->stride();
  }
  bool matches(const Lease& lease, uint32_t source, uint32_t index) const {
    return model_.matches(bytes(lease, source), range(source, index));
  }
  Lease get(uint32_t source, uint32_t index) {
    pool_->count_use(source, index);
    std::optional<Lease> lease = pool_->request(source, index, ReadClass::demand);
    EXPECT_TRUE(lease.has_value());
    if (!lease) return {};
    const Status status = pool_->wait(*lease);
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(matches(*lease, source, index)) << source << ", " << index;
    return *std::move(lease);
  }
  void get_every_slice() {
    for (uint32_t source = 0; source < options_.sources.size(); ++source) {
      for (uint32_t i = 0; i < options_.sources[source].count; ++i) get(source, i);
    }
  }

  DrawnModel model_ = DrawnModel::of_bytes({60'000, 60'000});
  SlicePoolOptions options_;
  std::unique_ptr<BoundedDevice> device_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<SlicePool> pool_;
};

TEST_F(SlicePoolTest, InPlaceSlicesStartAsDeepAsInTheirBlocks) {
  for (const uint32_t slots : {1, 2, 5, 9, 30}) {
    SCOPED_TRACE(slots);
    start(in_place(slots));
    EXPECT_EQ(pool_->stride(), widened_bytes(8192));
    EXPECT_EQ(pool_->base(1) - pool_->base(0), 4095 - 512);
    EXPECT_EQ(pool_->base(2) - pool_->base(0), -512);
    get_every_slice();
    get_every_slice();
  }
}

TEST_F(SlicePoolTest, SourcesInPlaceMayHaveSmallerSlices) {
  SlicePoolOptions options = in_place(4);
  options.sources[1].slice_bytes = 4096;
  start(options);
  EXPECT_EQ(pool_->stride(), widened_bytes(8192));
  const uint64_t before = reader_->stats().bytes_delivered;
  get(1, 2);
  EXPECT_EQ(reader_->stats().bytes_delivered - before, 2 * 4096u) << "no more than it is";
  get_every_slice();
  get_every_slice();
}

TEST_F(SlicePoolTest, PackedSlotsLieOneSliceApart) {
  for (const uint32_t slots : {1, 2, 7, 20}) {
    SCOPED_TRACE(slots);
    start(packed(slots, std::min(slots, 3u)));
    EXPECT_EQ(pool_->stride(), 5001u);
    EXPECT_EQ(pool_->base(0), pool_->base(1));
    get_every_slice();
    get_every_slice();
  }
}

TEST_F(SlicePoolTest, MoreLoadsThanStagingSlotsWaitTheirTurn) {
  start(packed(6, 1));
  std::vector<Lease> leases;
  for (uint32_t i = 0; i < 6; ++i) {
    leases.push_back(*pool_->request(0, i, ReadClass::prefetch));
  }
  for (uint32_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(pool_->wait(leases[i]).ok());
    EXPECT_TRUE(matches(leases[i], 0, i));
  }
}

TEST_F(SlicePoolTest, NothingIsReadyBeforeItsBytesAreThere) {
  for (const SlicePoolOptions& options : {in_place(3), packed(3, 2)}) {
    start(options, {.latency_ns = 1'000'000});
    const Lease lease = *pool_->request(0, 1, ReadClass::demand);
    reader_->pump();
    EXPECT_FALSE(pool_->ready(lease));
    EXPECT_FALSE(pool_->is_ready(0, 1));
    EXPECT_FALSE(matches(lease, 0, 1));
    int looks = 0;
    while (!pool_->ready(lease)) {
      reader_->pump();
      ASSERT_LT(++looks, 1'000'000);
    }
    EXPECT_TRUE(pool_->is_ready(0, 1));
    EXPECT_TRUE(matches(lease, 0, 1));
  }
}

TEST_F(SlicePoolTest, NoSlotIsLeftWhenAllAreLeased) {
  start(in_place(2));
  const Lease first = get(0, 0);
  {
    const Lease second = get(1, 0);
    EXPECT_FALSE(pool_->request(0, 1, ReadClass::demand).has_value());
    EXPECT_TRUE(pool_->request(0, 0, ReadClass::demand).has_value()) << "it has a slot";
  }
  get(0, 1);
  EXPECT_TRUE(matches(first, 0, 0)) << "leased all the while";
}

TEST_F(SlicePoolTest, ALoadingSlotIsNotTakenFromItsRead) {
  start(in_place(1), {.latency_ns = 1'000'000});
  { const std::optional<Lease> dropped = pool_->request(0, 0, ReadClass::prefetch); }
  EXPECT_FALSE(pool_->request(0, 1, ReadClass::demand).has_value());
  get(0, 0);
  get(0, 1);
}

TEST_F(SlicePoolTest, TwoLeasesShareASlot) {
  start(packed(4, 2));
  const Lease first = *pool_->request(0, 3, ReadClass::prefetch);
  const Lease second = *pool_->request(0, 3, ReadClass::demand);
  EXPECT_EQ(first.slot(), second.slot());
  EXPECT_TRUE(pool_->wait(second).ok());
  EXPECT_TRUE(matches(first, 0, 3));
  EXPECT_EQ(reader_->stats().loads, 1u);
}

TEST_F(SlicePoolTest, KeepsTheRecentlyUsed) {
  start(in_place(3));
  get(0, 0);
  get(0, 1);
  get(1, 0);
  get(0, 0);
  get(1, 1);
  EXPECT_FALSE(pool_->is_ready(0, 1)) << "the least recently used";
  EXPECT_TRUE(pool_->is_ready(0, 0));
  EXPECT_TRUE(pool_->is_ready(1, 0));
  EXPECT_TRUE(pool_->is_ready(1, 1));
}

TEST_F(SlicePoolTest, CountsAUseAsHitOnlyIfReady) {
  start(in_place(2), {.latency_ns = 1'000'000});
  pool_->count_use(0, 0);  // absent
  const Lease lease = *pool_->request(0, 0, ReadClass::demand);
  pool_->count_use(0, 0);  // loading
  ASSERT_TRUE(pool_->wait(lease).ok());
  pool_->count_use(0, 0);
  pool_->count_use(1, 0);  // the same index of another source
  EXPECT_EQ(pool_->stats().hits, 1u);
  EXPECT_EQ(pool_->stats().misses, 3u);
}

TEST_F(SlicePoolTest, AfterAFailedReadThePoolGoesOn) {
  for (const SlicePoolOptions& options : {in_place(2), packed(2, 1)}) {
    start(options);
    const Lease kept = get(0, 0);
    model_.shrink(1, 600);
    for (int attempt = 0; attempt < 4; ++attempt) {
      const Lease lease = *pool_->request(1, 1, ReadClass::demand);
      const Status status = pool_->wait(lease);
      EXPECT_EQ(status.code(), StatusCode::failed);
      EXPECT_NE(status.message().find("file shrank"), std::string::npos) << status.message();
      EXPECT_FALSE(pool_->is_ready(1, 1));
      EXPECT_FALSE(pool_->ready(lease));
    }
    get(0, 1);
    EXPECT_TRUE(matches(kept, 0, 0));
    model_.restore(1);
    get(1, 1);
  }
}

TEST_F(SlicePoolTest, EndsItsReadsBeforeItsMemoryGoes) {
  for (const SlicePoolOptions& options : {in_place(3), packed(3, 1)}) {
    start(options, {.latency_ns = 1'000'000});
    for (uint32_t i = 0; i < (options.packed ? 1 : 3); ++i) {
      const std::optional<Lease> dropped = pool_->request(0, i, ReadClass::prefetch);
    }
    reader_->pump();
    EXPECT_GT(device_->in_flight(), 0u);
    pool_.reset();
    EXPECT_EQ(device_->in_flight(), 0u);
  }
}

TEST_F(SlicePoolTest, StatesItsMemory) {
  EXPECT_EQ(SlicePool::memory_bytes(8192, 3, false), 3 * widened_bytes(8192));
  EXPECT_EQ(SlicePool::memory_bytes(5001, 3, true), 16384u);
  EXPECT_EQ(SlicePool::staging_bytes(5001, 2), 2 * widened_bytes(5001));
}

TEST_F(SlicePoolTest, GivesUpSlotsAndTakesThemBack) {
  for (const SlicePoolOptions& options : {in_place(9), packed(9, 3)}) {
    start(options);
    get_every_slice();
    pool_->set_slots(2);
    EXPECT_EQ(pool_->slots(), 2u);
    EXPECT_EQ(pool_->slots_max(), 9u);
    EXPECT_EQ(pool_->kept_bytes(), round_up(2 * pool_->stride(), 4096));
    get_every_slice();
    pool_->set_slots(7);
    EXPECT_EQ(pool_->kept_bytes(), round_up(7 * pool_->stride(), 4096));
    get_every_slice();
    pool_->set_slots(9);
    EXPECT_EQ(pool_->kept_bytes(), pool_->memory().size());
    get_every_slice();
  }
}

TEST_F(SlicePoolTest, SlotsInUseAreGivenBackWhenTheyEnd) {
  start(in_place(6), {.latency_ns = 1'000'000});
  std::vector<Lease> leases;
  for (uint32_t i = 0; i < 4; ++i) leases.push_back(get(0, i));
  { const std::optional<Lease> loading = pool_->request(1, 0, ReadClass::prefetch); }
  pool_->set_slots(1);
  EXPECT_EQ(pool_->kept_bytes(), 5 * pool_->stride()) << "a read goes to the fifth";
  while (pool_->loading() > 0) reader_->wait_one();
  pool_->give_back_ended();
  EXPECT_FALSE(pool_->is_ready(1, 0));
  EXPECT_EQ(pool_->kept_bytes(), 4 * pool_->stride());
  for (uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(matches(leases[i], 0, i));
  leases.pop_back();
  leases.pop_back();
  pool_->give_back_ended();
  EXPECT_EQ(pool_->kept_bytes(), 2 * pool_->stride());
  leases.clear();
  pool_->give_back_ended();
  EXPECT_EQ(pool_->kept_bytes(), pool_->stride());
  EXPECT_TRUE(pool_->is_ready(0, 0)) << "it was below the line";
}

TEST_F(SlicePoolTest, WhatWasGivenBackIsGone) {
  start(in_place(4));
  const std::byte* data = nullptr;
  for (uint32_t i = 0; i < 4; ++i) data = bytes(get(0, i), 0);
  EXPECT_TRUE(model_.matches(data, range(0, 3)));
  pool_->set_slots(3);
  EXPECT_EQ(std::count(data, data + 4096, std::byte{0}), 4096) << "a fresh page";
}

TEST_F(SlicePoolTest, SlotsInBytes) {
  start(in_place(9));
  for (uint32_t slots = 1; slots <= 9; ++slots) {
    EXPECT_EQ(pool_->slots_in(pool_->paged_bytes(slots)), slots);
    EXPECT_EQ(pool_->slots_in(pool_->paged_bytes(slots) - 1), slots - 1);
  }
  EXPECT_EQ(pool_->slots_in(UINT64_MAX), 9u);
}

// Any history of requests under faulty reads, against a dumb model: the file's bytes, and the
// leases held.
class PoolStorm {
 public:
  PoolStorm(uint64_t seed, const DrawnModel& model)
      : draw_(seed), model_(model), device_(draw_device(seed)) {
    options_.packed = draw_.below(2) == 0;
    options_.slice_bytes = options_.packed ? 1 + draw_.below(6000) : 4096 * (1 + draw_.below(2));
    options_.slots = 1 + draw_.below(7);
    options_.staging_slots = options_.packed ? 1 + draw_.below(options_.slots) : 0;
    for (uint32_t i = 0, sources = 1 + draw_.below(3); i < sources; ++i) {
      SliceSource source{.shard = draw_.below(2), .count = 1 + draw_.below(6)};
      if (!options_.packed && draw_.below(2) == 0) source.slice_bytes = 4096;
      source.offset =
          draw_.below(model.shard_bytes(source.shard) - source.count * options_.slice_bytes + 1);
      options_.sources.push_back(source);
    }
    reader_ = std::make_unique<Reader>(
        *Reader::open(model.index(), device_,
                      {.chunk_bytes = 4096 * (1 + draw_.below(3)),
                       .loads_max = 1 + draw_.below(8)}));
    pool_ = *SlicePool::create(*reader_, options_);
  }

  void run() {
    for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) act();
    while (!held_.empty()) release(0);
  }
  uint64_t failures() const { return failures_; }

 private:
  struct Held {
    uint32_t source = 0;
    uint32_t index = 0;
    Lease lease;
  };

  void act() {
    switch (draw_.below(9)) {
      case 8:
        pool_->set_slots(1 + draw_.below(pool_->slots_max()));
        EXPECT_GE(pool_->kept_bytes(), pool_->paged_bytes(pool_->slots()));
        break;
      case 0:
        reader_->pump();
        break;
      case 1:
        if (!held_.empty()) wait(held_[draw_.below(held_.size())]);
        break;
      case 2:
      case 3:
        if (!held_.empty()) release(draw_.below(held_.size()));
        break;
      default:
        request();
    }
    check_all();
  }

  void request() {
    const uint32_t source = draw_.below(options_.sources.size());
    const uint32_t index = draw_.below(options_.sources[source].count);
    const ReadClass read_class = draw_.below(2) == 0 ? ReadClass::demand : ReadClass::prefetch;
    std::optional<Lease> lease = pool_->request(source, index, read_class);
    if (!lease) {
      EXPECT_FALSE(pool_->is_ready(source, index));
      while (!reader_->idle()) reader_->wait_one();
      lease = pool_->request(source, index, read_class);
      EXPECT_EQ(lease.has_value(), leased_slots() < pool_->slots()) << "no load takes a slot now";
    }
    if (lease) held_.push_back({source, index, *std::move(lease)});
  }

  void wait(const Held& held) {
    const Status status = pool_->wait(held.lease);
    EXPECT_EQ(status.ok(), pool_->ready(held.lease));
    if (status.ok()) return;
    ++failures_;
    EXPECT_NE(status.message().find(".gguf"), std::string::npos) << status.message();
  }

  void release(uint32_t number) { held_.erase(held_.begin() + number); }

  // What is leased and ready is exact, from the moment it is ready to the end of its lease.
  void check_all() {
    for (const Held& held : held_) {
      if (!pool_->ready(held.lease)) continue;
      const SliceSource& source = options_.sources[held.source];
      const std::byte* data =
          pool_->base(held.source) + held.lease.slot().value * pool_->stride();
      const FileRange range{.shard = source.shard,
                            .offset = source.offset + held.index * bytes_of(source, options_),
                            .bytes = bytes_of(source, options_)};
      EXPECT_TRUE(model_.matches(data, range)) << held.source << ", " << held.index;
    }
    uint32_t ready = 0;
    for (uint32_t source = 0; source < options_.sources.size(); ++source) {
      for (uint32_t i = 0; i < options_.sources[source].count; ++i) {
        ready += pool_->is_ready(source, i);
      }
    }
    EXPECT_LE(ready, pool_->slots_max());
  }

  size_t leased_slots() const {
    std::set<SlotId> slots;
    for (const Held& held : held_) {
      if (held.lease.slot().value < pool_->slots()) slots.insert(held.lease.slot());
    }
    return slots.size();
  }

  Draw draw_;
  const DrawnModel& model_;
  BoundedDevice device_;
  SlicePoolOptions options_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<SlicePool> pool_;
  std::vector<Held> held_;
  uint64_t failures_ = 0;
};

TEST(SlicePoolStorm, EverySliceIsExactOrFails) {
  const DrawnModel model = DrawnModel::of_bytes({50'000, 60'001});
  uint64_t failures = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    PoolStorm storm(seed, model);
    storm.run();
    failures += storm.failures();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(failures, 100u) << "or the faults tested nothing";
}

}  // namespace
}  // namespace hypura
