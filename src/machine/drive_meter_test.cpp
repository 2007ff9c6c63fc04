#include "machine/drive_meter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

// A drive that never is: it takes `read_ns` for a read, `lanes` of them at a time, on its own
// clock.
class ClockedDevice final : public BlockDevice {
 public:
  ClockedDevice(uint64_t file_bytes, uint64_t read_ns, uint32_t lanes)
      : file_bytes_(file_bytes), read_ns_(read_ns), lanes_(lanes) {}

  const char* name() const override { return "clocked"; }
  Result<FileId> open(const std::string&) override { return FileId{0}; }
  uint64_t file_bytes(FileId) const override { return file_bytes_; }
  bool is_direct(FileId) const override { return true; }
  uint32_t alignment() const override { return 4096; }
  uint32_t depth() const override { return 32; }
  uint32_t in_flight() const override { return static_cast<uint32_t>(queue_.size()); }
  void submit(std::span<const ReadRequest> requests) override {
    for (const ReadRequest& request : requests) {
      EXPECT_LE(request.offset + request.bytes, file_bytes_);
      EXPECT_EQ(request.offset % 4096, 0u);
      requests_.push_back(request);
      queue_.push_back(request);
    }
    in_flight_max_ = std::max(in_flight_max_, in_flight());
  }
  size_t reap(std::span<ReadResult> results, bool) override {
    now_ns_ += read_ns_;
    size_t count = 0;
    for (; count < std::min<size_t>({lanes_, queue_.size(), results.size()}); ++count) {
      results[count] = {.tag = queue_[count].tag, .bytes = queue_[count].bytes};
      if (on_reap) on_reap(results[count]);
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

  uint64_t now_ns() const { return now_ns_; }
  uint32_t in_flight_max() const { return in_flight_max_; }
  const std::vector<ReadRequest>& requests() const { return requests_; }
  std::function<void(ReadResult&)> on_reap;

 private:
  uint64_t file_bytes_;
  uint64_t read_ns_;
  uint32_t lanes_;
  uint64_t now_ns_ = 0;
  uint32_t in_flight_max_ = 0;
  std::vector<ReadRequest> queue_;
  std::vector<ReadRequest> requests_;
};

class DriveMeterTest : public testing::Test {
 protected:
  DriveMeter meter() {
    return DriveMeter(device_, FileId{0}, memory_, [this] { return device_.now_ns(); });
  }
  ClockedDevice device_{10 * kMiB + 100, 1'000'000, 4};
  std::vector<std::byte> memory_{8 * kMiB};
};

TEST_F(DriveMeterTest, CountsBytesOverTheClocksTime) {
  DriveMeter meter = this->meter();
  const auto metered = meter.measure({.read_bytes = kMiB, .depth = 4, .sequential = true}, 0.1);
  ASSERT_TRUE(metered.ok());
  EXPECT_NEAR(metered->gbps(), 4 * 1.048576, 0.1) << "four reads of 1 MiB a millisecond";
  EXPECT_GE(metered->seconds, 0.1);
  EXPECT_LT(metered->seconds, 0.11);
  EXPECT_EQ(device_.in_flight_max(), 4u);
  EXPECT_EQ(device_.in_flight(), 0u);
  EXPECT_EQ(metered->latencies_us.size(), device_.requests().size());
  EXPECT_EQ(*std::max_element(metered->latencies_us.begin(), metered->latencies_us.end()), 1000);
}

TEST_F(DriveMeterTest, ReadsTwiceTheDepthHoweverShortTheTime) {
  DriveMeter meter = this->meter();
  ASSERT_TRUE(meter.measure({.read_bytes = 4096, .depth = 8}, 0).ok());
  EXPECT_GE(device_.requests().size(), 16u);
  EXPECT_LE(device_.requests().size(), 24u);
}

TEST_F(DriveMeterTest, SequentialReadsGoOnAndAround) {
  DriveMeter meter = this->meter();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(meter.measure({.read_bytes = kMiB, .depth = 1, .sequential = true}, 0.005).ok());
  }
  ASSERT_GT(device_.requests().size(), 11u);
  for (size_t i = 0; i < device_.requests().size(); ++i) {
    EXPECT_EQ(device_.requests()[i].offset, i % 10 * kMiB);
  }
}

TEST_F(DriveMeterTest, ReadsLandInAllOfTheMemory) {
  DriveMeter meter = this->meter();
  ASSERT_TRUE(meter.measure({.read_bytes = 1 * kMiB, .depth = 1, .sequential = true}, 0.1).ok());
  std::set<std::byte*> places;
  for (const ReadRequest& request : device_.requests()) places.insert(request.buffer);
  EXPECT_EQ(places.size(), std::min(device_.requests().size(), memory_.size() / kMiB));
  EXPECT_GT(places.size(), 1u) << "a cache would hold one";
}

TEST_F(DriveMeterTest, ScatteredReadsGoEverywhere) {
  DriveMeter meter = this->meter();
  ASSERT_TRUE(meter.measure({.read_bytes = 4096, .depth = 4}, 0.2).ok());
  std::set<uint64_t> mebibytes;
  for (const ReadRequest& request : device_.requests()) mebibytes.insert(request.offset / kMiB);
  EXPECT_EQ(mebibytes.size(), 10u);
}

TEST_F(DriveMeterTest, KnowsWhatItCannot) {
  DriveMeter meter = this->meter();
  EXPECT_TRUE(meter.can({.read_bytes = 8 * kMiB, .depth = 1}));
  EXPECT_FALSE(meter.can({.read_bytes = 8 * kMiB, .depth = 2})) << "more than its memory";
  EXPECT_FALSE(meter.can({.read_bytes = 4096, .depth = 33})) << "more than the device's depth";
  EXPECT_FALSE(meter.can({.read_bytes = 100, .depth = 1}));
  EXPECT_FALSE(meter.can({.read_bytes = 0, .depth = 1}));
  ClockedDevice small(kMiB, 1, 1);
  EXPECT_FALSE(DriveMeter(small, FileId{0}, memory_).can({.read_bytes = 2 * kMiB, .depth = 1}));
}

TEST_F(DriveMeterTest, ADriveThatVanishesIsAnErrorAndLeavesNothingInFlight) {
  int reads = 0;
  device_.on_reap = [&](ReadResult& result) {
    if (++reads < 20) return;
    result.bytes = 0;
    result.status = Status(StatusCode::failed, "cannot read m.gguf: no such device");
  };
  DriveMeter meter = this->meter();
  const auto metered = meter.measure({.read_bytes = 4096, .depth = 16}, 10);
  ASSERT_FALSE(metered.ok());
  EXPECT_EQ(metered.status().message(), "cannot read m.gguf: no such device");
  EXPECT_EQ(device_.in_flight(), 0u);
  EXPECT_LT(reads, 60) << "it stopped at once";
}

TEST_F(DriveMeterTest, StopsWhenAsked) {
  std::atomic<bool> stop = false;
  device_.on_reap = [&](ReadResult&) { stop = true; };
  DriveMeter meter = this->meter();
  const auto metered = meter.measure({.read_bytes = 4096, .depth = 16}, 1e6, &stop);
  ASSERT_FALSE(metered.ok());
  EXPECT_EQ(metered.status().code(), StatusCode::interrupted);
  EXPECT_EQ(device_.in_flight(), 0u);
}

}  // namespace
}  // namespace hypura
