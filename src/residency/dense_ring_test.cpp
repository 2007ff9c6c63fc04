#include "residency/dense_ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <numeric>
#include <utility>

#include "model/layout.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

// Two shards, and pieces at odd places of them.
class DenseRingTest : public testing::Test {
 protected:
  DenseRingTest() {
    for (uint32_t i = 0; i < 6; ++i) {
      pieces_.push_back({.shard = i % 2, .offset = 1000 + 9001u * i, .bytes = 5003 + 777u * i});
    }
  }

  void start(uint32_t slots, const SimOptions& options = {.latency_ns = 0}) {
    ring_.reset();
    reader_.reset();
    device_ = std::make_unique<BoundedDevice>(options);
    Result<Reader> reader = Reader::open(model_.index(), *device_, {.chunk_bytes = 4096});
    ASSERT_TRUE(reader.ok());
    reader_ = std::make_unique<Reader>(*std::move(reader));
    Result<std::unique_ptr<DenseRing>> ring =
        DenseRing::create(*reader_, pieces_, slots, widened_bytes(pieces_.back().bytes));
    ASSERT_TRUE(ring.ok());
    ring_ = *std::move(ring);
  }
  DenseRing::PieceLease get(uint32_t piece) {
    Result<DenseRing::PieceLease> lease = ring_->acquire(piece);
    EXPECT_TRUE(lease.ok()) << lease.status().to_string();
    if (!lease.ok()) return {};
    EXPECT_TRUE(matches(*lease, piece)) << "piece " << piece;
    return *std::move(lease);
  }
  void get_all(const std::vector<uint32_t>& order) {
    for (const uint32_t piece : order) get(piece);
  }
  bool matches(const DenseRing::PieceLease& lease, uint32_t piece) const {
    return model_.matches(lease.data(), pieces_[piece]);
  }

  DrawnModel model_ = DrawnModel::of_bytes({60'000, 60'000});
  std::vector<FileRange> pieces_;
  std::unique_ptr<BoundedDevice> device_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<DenseRing> ring_;
};

TEST_F(DenseRingTest, StreamsInOrderAcrossTheEnd) {
  for (const uint32_t slots : {2, 3, 5, 6, 7, 20}) {
    SCOPED_TRACE(slots);
    start(slots);
    for (int token = 0; token < 4; ++token) get_all({0, 1, 2, 3, 4, 5});
    EXPECT_EQ(ring_->stats().resyncs, 0u);
    EXPECT_EQ(ring_->stats().hits + ring_->stats().misses, 24u);
    EXPECT_EQ(ring_->stats().misses, 1u) << "an instant drive: only the first was not ahead";
  }
}

TEST_F(DenseRingTest, NothingIsReadyBeforeItsBytesAreThere) {
  start(4, {.depth = 1, .latency_ns = 1'000'000, .reorder = false});
  EXPECT_FALSE(ring_->ready(0)) << "nothing is read before someone asks";
  get(0);
  EXPECT_FALSE(ring_->ready(0)) << "used up";
  EXPECT_FALSE(ring_->ready(1));
  int looks = 0;
  while (!ring_->ready(2)) {
    reader_->pump();
    ASSERT_LT(++looks, 1'000'000);
  }
  EXPECT_GT(looks, 1);
  get(2);
}

TEST_F(DenseRingTest, ReadyMeansNoWait) {
  start(4, {.latency_ns = 1000});
  get(0);
  while (!ring_->ready(1)) reader_->pump();
  const uint64_t waits = reader_->waits();
  get(1);
  EXPECT_EQ(reader_->waits(), waits);
}

TEST_F(DenseRingTest, AReleasedSlotReadsOn) {
  start(2);
  {
    const DenseRing::PieceLease lease = get(0);
    reader_->pump();
    EXPECT_TRUE(ring_->ready(1));
    EXPECT_FALSE(ring_->ready(2)) << "no slot for it";
  }
  reader_->pump();
  EXPECT_TRUE(ring_->ready(2));
}

TEST_F(DenseRingTest, OtherOrdersAreRightAndLearned) {
  start(3);
  get_all({0, 1, 2, 3, 4, 5});
  const std::vector<uint32_t> order{3, 1, 5, 4, 0, 2};
  get_all(order);
  EXPECT_GT(ring_->stats().resyncs, 0u);
  get_all(order);
  const uint64_t learned = ring_->stats().resyncs;
  get_all(order);
  get_all(order);
  EXPECT_EQ(ring_->stats().resyncs, learned);
}

TEST_F(DenseRingTest, RepeatedAndAlternatingPieces) {
  for (const uint32_t slots : {2, 3, 8}) {
    start(slots);
    for (int round = 0; round < 5; ++round) {
      get_all({2, 2, 2, 0, 1, 0, 1, 5});
      get_all({5, 4, 3, 2, 1, 0});
      get_all({0, 2, 4});
    }
  }
}

TEST_F(DenseRingTest, OnePieceIsItsOwnSuccessor) {
  pieces_.resize(1);
  for (const uint32_t slots : {2, 3}) {
    start(slots);
    get_all({0, 0, 0});
  }
}

TEST_F(DenseRingTest, LeasesKeepTheirBytesWhileOthersLoad) {
  start(4);
  std::deque<std::pair<uint32_t, DenseRing::PieceLease>> held;
  for (uint32_t i = 0; i < 30; ++i) {
    if (held.size() == 3) held.pop_front();
    const uint32_t piece = i * 5 % 6;
    held.emplace_back(piece, get(piece));
    EXPECT_EQ(ring_->leased(), held.size());
    for (const auto& [number, lease] : held) EXPECT_TRUE(matches(lease, number));
  }
  held.clear();
  EXPECT_EQ(ring_->leased(), 0u);
}

TEST_F(DenseRingTest, MovedLeaseReleasesOnce) {
  start(4);
  DenseRing::PieceLease first = get(0);
  DenseRing::PieceLease second = std::move(first);
  first = get(1);
  EXPECT_EQ(ring_->leased(), 2u);
  second = std::move(first);
  EXPECT_EQ(ring_->leased(), 1u);
  EXPECT_TRUE(matches(second, 1));
}

TEST_F(DenseRingTest, OneLeaseMoreThanAllowedIsABug) {
  start(3);
  const DenseRing::PieceLease first = get(0);
  const DenseRing::PieceLease second = get(1);
  EXPECT_DEATH((void)ring_->acquire(2), "leased_");
}

TEST_F(DenseRingTest, LendsItsMemoryAndGoesOn) {
  start(3, {.latency_ns = 1000});
  const uint64_t bytes = 3 * widened_bytes(pieces_.back().bytes);
  get_all({0, 1});
  EXPECT_EQ(ring_->borrow_memory(bytes + 1), nullptr);
  std::byte* memory = ring_->borrow_memory(bytes);
  ASSERT_NE(memory, nullptr);
  EXPECT_TRUE(reader_->idle()) << "or a late read would overwrite what is borrowed";
  const FileRange large{.shard = 1, .offset = 33, .bytes = bytes - 4096};
  ASSERT_TRUE(reader_->read_now(large, memory).ok());
  EXPECT_TRUE(model_.matches(memory + reader_->lead(large), large));
  get_all({2, 3, 4, 5, 0});

  EXPECT_NE(ring_->borrow_memory(1), nullptr);
  EXPECT_NE(ring_->borrow_memory(1), nullptr) << "twice in a row";
  get_all({0, 1, 2});
}

TEST_F(DenseRingTest, EndsItsReadsBeforeItsMemoryGoes) {
  start(4, {.latency_ns = 1'000'000});
  get_all({0, 1});
  EXPECT_GT(device_->in_flight(), 0u);
  ring_.reset();
  EXPECT_EQ(device_->in_flight(), 0u);
}

TEST_F(DenseRingTest, AfterAFailedReadTheRingGoesOn) {
  start(4);
  get(0);
  model_.shrink(1, 500);
  reader_->pump();
  int failures = 0;
  for (const uint32_t piece : {1, 3, 5, 1}) {
    Result<DenseRing::PieceLease> lease = ring_->acquire(piece);
    if (lease.ok()) continue;  // read ahead while the file was whole
    ++failures;
    EXPECT_EQ(lease.status().code(), StatusCode::failed);
    EXPECT_NE(lease.status().message().find("file shrank"), std::string::npos);
    EXPECT_NE(lease.status().message().find("m-00002-of-00002.gguf"), std::string::npos);
    EXPECT_EQ(ring_->leased(), 0u);
  }
  EXPECT_GT(failures, 0);
  get_all({2, 4, 0});  // the other shard's pieces

  model_.restore(1);
  EXPECT_NE(ring_->borrow_memory(1), nullptr);  // forgets what was read ahead
  get_all({1, 3, 5, 0, 1, 2, 3, 4, 5});
}

// Any history of uses under faulty reads: right bytes, or a failed Status that names the file.
class RingStorm {
 public:
  RingStorm(uint64_t seed, const DrawnModel& model)
      : draw_(seed), model_(model), device_(draw_device(seed)) {
    const uint32_t count = 1 + draw_.below(9);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t shard = draw_.below(2);
      const uint64_t bytes = 1 + draw_.below(kPieceBytesMax);
      pieces_.push_back({.shard = shard,
                         .offset = draw_.below(model.shard_bytes(shard) - bytes + 1),
                         .bytes = bytes});
    }
    order_.resize(count);
    std::iota(order_.begin(), order_.end(), 0);
    const uint32_t slots = 2 + draw_.below(8);
    queue_holds_all_ = draw_.below(2) == 0;
    const uint32_t loads_max = queue_holds_all_ ? slots : 1 + draw_.below(slots);
    reader_ = std::make_unique<Reader>(*Reader::open(
        model.index(), device_,
        {.chunk_bytes = 4096 * (1 + draw_.below(3)), .loads_max = loads_max}));
    ring_ = *DenseRing::create(*reader_, pieces_, slots, widened_bytes(kPieceBytesMax));
  }

  void run() {
    for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) act();
  }
  uint64_t failures() const { return failures_; }

 private:
  static constexpr uint64_t kPieceBytesMax = 11'000;

  void act() {
    switch (draw_.below(24)) {
      case 0:  // another graph
        for (uint32_t& piece : order_) piece = draw_.below(pieces_.size());
        break;
      case 1:
        next_ = draw_.below(order_.size());
        break;
      case 2:
        borrow();
        break;
      case 3:
        reader_->pump();
        break;
      case 4:
      case 5:
        if (!held_.empty()) release(draw_.below(held_.size()));
        break;
      default:
        use(order_[next_]);
        next_ = (next_ + 1) % static_cast<uint32_t>(order_.size());
    }
    EXPECT_EQ(ring_->leased(), held_.size());
  }

  void use(uint32_t piece) {
    while (held_.size() + 1 >= ring_->slots() || draw_.below(3) == 0) {
      if (held_.empty()) break;
      release(0);
    }
    const bool ready = ring_->ready(piece);
    const uint64_t waits = reader_->waits();
    Result<DenseRing::PieceLease> lease = ring_->acquire(piece);
    EXPECT_TRUE(lease.ok() || !ready);
    EXPECT_TRUE(reader_->waits() == waits || !ready || !queue_holds_all_) << "it was ready";
    if (!lease.ok()) {
      ++failures_;
      EXPECT_NE(lease.status().message().find(".gguf"), std::string::npos);
      return;
    }
    EXPECT_TRUE(model_.matches(lease->data(), pieces_[piece])) << "piece " << piece;
    held_.emplace_back(piece, *std::move(lease));
  }

  void release(uint32_t number) {
    const auto held = held_.begin() + number;
    EXPECT_TRUE(model_.matches(held->second.data(), pieces_[held->first])) << "at its release";
    held_.erase(held);
  }

  // Whatever still read into the lent memory would destroy the pattern, or the pattern the pieces.
  void borrow() {
    while (!held_.empty()) release(0);
    const uint64_t bytes = ring_->slots() * widened_bytes(kPieceBytesMax);
    std::byte* memory = ring_->borrow_memory(bytes);
    ASSERT_NE(memory, nullptr);
    std::memset(memory, 0x77, bytes);
    reader_->pump();
    EXPECT_EQ(std::memcmp(memory, memory + 1, bytes - 1), 0);
    EXPECT_EQ(memory[0], std::byte{0x77});
  }

  Draw draw_;
  const DrawnModel& model_;
  BoundedDevice device_;
  std::vector<FileRange> pieces_;
  std::vector<uint32_t> order_;
  uint32_t next_ = 0;
  bool queue_holds_all_ = false;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<DenseRing> ring_;
  std::deque<std::pair<uint32_t, DenseRing::PieceLease>> held_;
  uint64_t failures_ = 0;
};

TEST(DenseRingStorm, EveryPieceIsExactOrFails) {
  const DrawnModel model = DrawnModel::of_bytes({50'000, 30'001});
  uint64_t failures = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    RingStorm storm(seed, model);
    storm.run();
    failures += storm.failures();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(failures, 100u) << "or the faults tested nothing";
}

}  // namespace
}  // namespace hypura
