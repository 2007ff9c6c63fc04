#include "residency/raw_bandwidth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "model/layout.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

// One read after the other, each in kReadNs of its own clock, whatever its size; none is ready
// before somebody waits.
class SerialDevice final : public ForwardingDevice {
 public:
  static constexpr uint64_t kReadNs = 500'000;

  explicit SerialDevice(uint32_t depth) : ForwardingDevice({.depth = depth}) {}

  void submit(std::span<const ReadRequest> requests) override {
    for (const ReadRequest& request : requests) {
      offsets_.push_back(request.offset);
      ++reads_of_[{request.file.value, request.offset}];
    }
    ForwardingDevice::submit(requests);
    in_flight_max_ = std::max(in_flight_max_, in_flight());
  }
  size_t reap(std::span<ReadResult> results, bool wait) override {
    if (!wait) return 0;
    const size_t count = ForwardingDevice::reap(results, true);
    for (size_t i = 0; i < count; ++i) delivered_ += results[i].bytes;
    now_ns_ += count * kReadNs;
    return count;
  }

  uint64_t now_ns() const { return now_ns_; }
  uint64_t delivered() const { return delivered_; }
  uint32_t in_flight_max() const { return in_flight_max_; }
  const std::vector<uint64_t>& offsets() const { return offsets_; }
  // (file, offset) -> how often a read began there.
  const std::map<std::pair<uint32_t, uint64_t>, int>& reads_of() const { return reads_of_; }

 private:
  uint64_t now_ns_ = 0;
  uint64_t delivered_ = 0;
  uint32_t in_flight_max_ = 0;
  std::vector<uint64_t> offsets_;
  std::map<std::pair<uint32_t, uint64_t>, int> reads_of_;
};

std::unique_ptr<RawBandwidth> open(const DrawnModel& model, SerialDevice& device) {
  Result<std::unique_ptr<RawBandwidth>> raw =
      RawBandwidth::open(model.index(), device, [&] { return device.now_ns(); });
  EXPECT_TRUE(raw.ok()) << raw.status().to_string();
  return *std::move(raw);
}

TEST(RawBandwidth, IsBytesOverTheDevicesTime) {
  const DrawnModel model = DrawnModel::of_bytes({8 * kMiB});
  SerialDevice device(8);
  const auto raw = open(model, device);
  const Result<RawRead> read = raw->measure(4 * kMiB);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->bytes, 4 * kMiB);
  EXPECT_EQ(read->bytes, device.delivered());
  EXPECT_DOUBLE_EQ(read->seconds, 4 * 0.0005);
  EXPECT_DOUBLE_EQ(read->gbps(), kMiB / 0.0005 * 1e-9);
  EXPECT_FALSE(raw->direct()) << "the simulated device reads through the page cache";
}

TEST(RawBandwidth, KeepsTheDeviceFull) {
  const DrawnModel model = DrawnModel::of_bytes({8 * kMiB});
  for (const uint32_t depth : {1u, 3u, 8u, 64u, 200u}) {
    SCOPED_TRACE(depth);
    SerialDevice device(depth);
    ASSERT_TRUE(open(model, device)->measure(300 * kMiB).ok());
    EXPECT_EQ(device.in_flight_max(), std::min(depth, RawBandwidth::kReadsMax));
  }
}

TEST(RawBandwidth, ReadsAllShardsInTurnAndAround) {
  // 3 and 2 chunks, their last ones short; the second round starts anew.
  const DrawnModel model = DrawnModel::of_bytes({2 * kMiB + 5000, kMiB + 300});
  SerialDevice device(1);
  const auto raw = open(model, device);
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : model.index().tensors()) {
    bytes += tensor.offset % kBlockBytes + tensor.bytes;
  }
  ASSERT_TRUE(raw->measure(2 * bytes).ok());
  EXPECT_EQ(device.reads_of().size(), 5u);
  for (const auto& [where, times] : device.reads_of()) EXPECT_EQ(times, 2) << where.second;
}

TEST(RawBandwidth, GoesOnWhereItEnded) {
  const DrawnModel model = DrawnModel::of_bytes({4 * kMiB});
  SerialDevice device(1);
  const auto raw = open(model, device);
  ASSERT_TRUE(raw->measure(1).ok());
  ASSERT_TRUE(raw->measure(kMiB).ok());
  ASSERT_TRUE(raw->measure(kMiB + 1).ok());
  ASSERT_EQ(device.offsets().size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(device.offsets()[i], device.offsets()[0] + i * kMiB);
  }
}

TEST(RawBandwidth, FailsWithTheDrive) {
  const DrawnModel model = DrawnModel::of_bytes({4 * kMiB});
  SerialDevice device(4);
  const auto raw = open(model, device);
  model.shrink(0, 2 * kMiB);
  EXPECT_EQ(raw->measure(4 * kMiB).status().code(), StatusCode::failed);
  model.restore(0);
  EXPECT_TRUE(raw->measure(4 * kMiB).ok()) << "all slots came back";
}

TEST(RawBandwidth, Stops) {
  const DrawnModel model = DrawnModel::of_bytes({4 * kMiB});
  SerialDevice device(4);
  const std::atomic<bool> stop = true;
  EXPECT_EQ(open(model, device)->measure(kGiB, &stop).status().code(), StatusCode::interrupted);
  EXPECT_EQ(device.delivered(), 0u);
}

}  // namespace
}  // namespace hypura
