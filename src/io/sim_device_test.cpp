#include "io/sim_device.h"

#include <gtest/gtest.h>

#include <map>

#include "io/test_support.h"

namespace hypura {
namespace {

constexpr uint32_t kBlock = kReadAlignment;
constexpr SimFaults kRough{
    .eio = 0.2, .eio_permanent = 0.05, .short_read = 0.4, .eintr = 0.2, .latency_spike = 0.1};

// Reads the file once through, four blocks a read, with the device full: tags in order of arrival,
// each with its message ("" for success).
std::vector<std::pair<uint64_t, std::string>> history(const SimOptions& options, TempFile& file) {
  constexpr uint32_t kBytes = 4 * kBlock;
  const std::unique_ptr<BlockDevice> device = make_sim_device(options);
  const FileId id = *device->open(file.path());
  const uint64_t reads = (file.size() + kBytes - 1) / kBytes;
  AlignedBuffer buffer(reads * kBytes);

  std::vector<std::pair<uint64_t, std::string>> arrivals;
  for (uint64_t next = 0; arrivals.size() < reads;) {
    for (; next < reads && device->in_flight() < device->depth(); ++next) {
      const uint64_t offset = next * kBytes;
      const ReadRequest request{
          .file = id,
          .offset = offset,
          .bytes = kBytes,
          .min_bytes = static_cast<uint32_t>(std::min<uint64_t>(kBytes, file.size() - offset)),
          .buffer = buffer.data() + offset,
          .tag = next};
      device->submit({&request, 1});
    }
    ReadResult result;
    EXPECT_EQ(device->reap({&result, 1}, true), 1u);
    arrivals.emplace_back(result.tag, result.status.message());
    if (result.status.ok()) {
      const uint64_t offset = result.tag * kBytes;
      EXPECT_TRUE(file.matches(buffer.data() + offset, offset, result.bytes));
    }
  }
  return arrivals;
}

TEST(SimDevice, OneSeedIsOneHistory) {
  TempFile file(100 * 4 * kBlock + 17);
  const auto first = history({.seed = 5, .faults = kRough}, file);
  EXPECT_EQ(history({.seed = 5, .faults = kRough}, file), first);
  EXPECT_NE(history({.seed = 6, .faults = kRough}, file), first);
}

TEST(SimDevice, WhatAReadMeetsDependsOnSeedAndNumberOnly) {
  TempFile file(100 * 4 * kBlock + 17);
  const auto alone = history({.seed = 9, .depth = 1, .faults = kRough}, file);
  const auto crowded = history({.seed = 9, .depth = 32, .faults = kRough}, file);
  EXPECT_NE(alone, crowded);  // the order differs
  EXPECT_EQ((std::map<uint64_t, std::string>(alone.begin(), alone.end())),
            (std::map<uint64_t, std::string>(crowded.begin(), crowded.end())));
}

TEST(SimDevice, KeepsTheOrderIfAsked) {
  TempFile file(50 * 4 * kBlock);
  const auto arrivals = history({.reorder = false, .faults = {.latency_spike = 0.2}}, file);
  for (uint64_t i = 0; i < arrivals.size(); ++i) EXPECT_EQ(arrivals[i].first, i);
}

TEST(SimDevice, BytesAppearWhenReaped) {
  TempFile file(kBlock + 10);
  const std::unique_ptr<BlockDevice> device = make_sim_device({});
  AlignedBuffer buffer(2 * kBlock);
  const ReadRequest request{.file = *device->open(file.path()),
                            .bytes = 2 * kBlock,
                            .min_bytes = kBlock + 10,
                            .buffer = buffer.data()};
  device->submit({&request, 1});
  EXPECT_TRUE(buffer.all(0xA5));
  EXPECT_EQ(device->in_flight(), 1u);

  ReadResult result;
  ASSERT_EQ(device->reap({&result, 1}, true), 1u);
  EXPECT_EQ(result.bytes, kBlock + 10);
  EXPECT_TRUE(file.matches(buffer.data(), 0, kBlock + 10));
  EXPECT_EQ(device->in_flight(), 0u);
  EXPECT_EQ(device->reap({&result, 1}, true), 0u);
}

TEST(SimDevice, LookingOftenEnoughFinishesReads) {
  TempFile file(kBlock);
  const std::unique_ptr<BlockDevice> device = make_sim_device({.faults = {.latency_spike = 1}});
  AlignedBuffer buffer(kBlock);
  const ReadRequest request{
      .file = *device->open(file.path()), .bytes = kBlock, .buffer = buffer.data()};
  device->submit({&request, 1});
  ReadResult result;
  int looks = 1;
  while (device->reap({&result, 1}, false) == 0) ASSERT_LT(++looks, 100000);
  EXPECT_GT(looks, 1);
}

TEST(SimDevice, PermanentErrorsFail) {
  TempFile file(10 * 4 * kBlock);
  for (const auto& [tag, message] : history({.faults = {.eio_permanent = 1}}, file)) {
    EXPECT_NE(message.find("(errno 5) after 3 attempts"), std::string::npos) << tag << message;
  }
}

TEST(SimDevice, AShrunkenFileFails) {
  TempFile file(2 * kBlock);
  const std::unique_ptr<BlockDevice> device = make_sim_device({});
  AlignedBuffer buffer(2 * kBlock);
  const ReadRequest request{.file = *device->open(file.path()),
                            .bytes = 2 * kBlock,
                            .min_bytes = 2 * kBlock,
                            .buffer = buffer.data()};
  device->submit({&request, 1});
  file.truncate(5000);  // between submit and reap
  ReadResult result;
  ASSERT_EQ(device->reap({&result, 1}, true), 1u);
  EXPECT_EQ(result.status.message(), "file shrank while reading: " + file.path() +
                                         " has 5000 bytes, needed 8192 at offset 0");
}

}  // namespace
}  // namespace hypura
