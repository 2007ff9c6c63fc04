// The devices that read for real, each against the same expectations.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "base/units.h"
#include "io/pread_device.h"
#include "io/test_support.h"
#include "io/uring_device.h"

namespace hypura {
namespace {

constexpr uint32_t kBlock = kReadAlignment;

class RealDevice : public testing::TestWithParam<const char*> {
 protected:
  // Null where this machine has no io_uring.
  std::unique_ptr<BlockDevice> make(uint32_t depth = 16, bool direct = true) {
    if (std::string(GetParam()) == "pread") {
      return make_pread_device({.depth = depth, .direct = direct});
    }
    Result<std::unique_ptr<BlockDevice>> device =
        make_uring_device({.depth = depth, .direct = direct});
    return device.ok() ? std::move(*device) : nullptr;
  }

  void SetUp() override {
    if (make() == nullptr) GTEST_SKIP() << "no io_uring here";
  }

  static ReadResult read_one(BlockDevice& device, const ReadRequest& request) {
    device.submit({&request, 1});
    ReadResult result;
    EXPECT_EQ(device.reap({&result, 1}, true), 1u);
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, RealDevice, testing::Values("io_uring", "pread"),
                         [](const auto& device) { return std::string(device.param); });

TEST_P(RealDevice, ReadsFilesOfAnySize) {
  for (const bool direct : {true, false}) {
    const std::unique_ptr<BlockDevice> device = make(4, direct);
    EXPECT_STREQ(device->name(), GetParam());
    for (const size_t bytes : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, kMiB + 123}) {
      TempFile file(bytes);
      const FileId id = *device->open(file.path());
      EXPECT_FALSE(device->is_direct(id) && !direct);
      EXPECT_EQ(device->file_bytes(id), bytes);
      const uint32_t padded = static_cast<uint32_t>(round_up(bytes, kBlock));
      AlignedBuffer buffer(padded + kBlock);  // one block past the end
      const ReadResult result = read_one(*device, {.file = id,
                                                   .bytes = padded + kBlock,
                                                   .min_bytes = static_cast<uint32_t>(bytes),
                                                   .buffer = buffer.data(),
                                                   .tag = bytes});
      ASSERT_TRUE(result.status.ok()) << result.status.to_string();
      EXPECT_EQ(result.tag, bytes);
      EXPECT_EQ(result.bytes, bytes);
      EXPECT_TRUE(file.matches(buffer.data(), 0, bytes));
    }
  }
}

TEST_P(RealDevice, FillsItsDepthAgainAndAgain) {
  constexpr uint32_t kDepth = 32;
  const std::unique_ptr<BlockDevice> device = make(kDepth);
  TempFile file(kDepth * 4 * kBlock);
  const FileId id = *device->open(file.path());
  AlignedBuffer buffer(file.size());
  for (int round = 0; round < 20; ++round) {
    std::vector<ReadRequest> requests;
    for (uint32_t i = 0; i < kDepth; ++i) {
      requests.push_back({.file = id,
                          .offset = i * 4 * kBlock,
                          .bytes = 4 * kBlock,
                          .min_bytes = 4 * kBlock,
                          .buffer = buffer.data() + i * 4 * kBlock,
                          .tag = i});
    }
    buffer.fill(0);
    device->submit(requests);
    EXPECT_EQ(device->in_flight(), kDepth);
    std::vector<bool> seen(kDepth);
    std::vector<ReadResult> results(5);  // less than the depth: the rest stays for later
    while (device->in_flight() > 0) {
      const size_t count = device->reap(results, true);
      ASSERT_GT(count, 0u);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(results[i].status.ok());
        EXPECT_FALSE(seen[results[i].tag]);
        seen[results[i].tag] = true;
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kDepth);
    ASSERT_TRUE(file.matches(buffer.data(), 0, file.size()));
  }
}

TEST_P(RealDevice, ReapsNothingFromNothing) {
  const std::unique_ptr<BlockDevice> device = make();
  ReadResult result;
  EXPECT_EQ(device->reap({&result, 1}, true), 0u);
  EXPECT_EQ(device->reap({}, true), 0u);
}

TEST_P(RealDevice, PollingFinishesReadsToo) {
  const std::unique_ptr<BlockDevice> device = make();
  TempFile file(kBlock);
  AlignedBuffer buffer(kBlock);
  const ReadRequest request{
      .file = *device->open(file.path()), .bytes = kBlock, .buffer = buffer.data()};
  device->submit({&request, 1});
  ReadResult result;
  while (device->reap({&result, 1}, false) == 0) std::this_thread::yield();
  EXPECT_TRUE(result.status.ok());
}

TEST_P(RealDevice, RefusesWhatIsNotAFile) {
  const std::unique_ptr<BlockDevice> device = make();
  EXPECT_EQ(device->open("./no_such.gguf").status().message(),
            "cannot open ./no_such.gguf: No such file or directory (errno 2)");
  EXPECT_EQ(device->open(".").status().message(), "cannot open .: it is a directory");
  EXPECT_EQ(device->open("/dev/null").status().message(),
            "cannot open /dev/null: it is not a regular file");
  const std::string fifo = "./hypura_io_test.fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_FALSE(device->open(fifo).ok());
  ::unlink(fifo.c_str());
}

TEST_P(RealDevice, OpensABoundedNumberOfFiles) {
  const std::unique_ptr<BlockDevice> device = make();
  TempFile file(1);
  size_t opened = 0;
  Result<FileId> last = device->open(file.path());
  for (; last.ok(); last = device->open(file.path())) ASSERT_LE(++opened, 2000u);
  EXPECT_GT(opened, 100u);  // kFilesMax, or the process's own limit
  EXPECT_NE(last.status().message().find("cannot open"), std::string::npos);
}

TEST_P(RealDevice, NamesAFileThatShrank) {
  const std::unique_ptr<BlockDevice> device = make();
  TempFile file(10 * kBlock);
  const FileId id = *device->open(file.path());
  file.truncate(9000);
  AlignedBuffer buffer(4 * kBlock);
  const ReadRequest request{.file = id,
                            .offset = kBlock,
                            .bytes = 4 * kBlock,
                            .min_bytes = 10000,
                            .buffer = buffer.data()};
  const ReadResult result = read_one(*device, request);
  EXPECT_EQ(result.status.message(), "file shrank while reading: " + file.path() +
                                         " has 9000 bytes, needed 10000 at offset 4096");
  EXPECT_FALSE(result.status.hint().empty());
}

TEST_P(RealDevice, SurvivesAFileThatShrinksAndGrowsAsItReads) {
  const std::unique_ptr<BlockDevice> device = make(8);
  TempFile file(64 * kBlock);
  const FileId id = *device->open(file.path());
  std::atomic<bool> stop = false;
  std::thread vandal([&] {
    for (size_t i = 0; !stop; ++i) file.truncate(i * 1237 % (64 * kBlock));
  });
  AlignedBuffer buffer(8 * 8 * kBlock);
  for (uint32_t round = 0; round < 300; ++round) {
    std::vector<ReadRequest> requests;
    for (uint32_t i = 0; i < 8; ++i) {
      requests.push_back({.file = id,
                          .offset = i * 8 * kBlock,
                          .bytes = 8 * kBlock,
                          .min_bytes = 8 * kBlock - 100,
                          .buffer = buffer.data() + i * 8 * kBlock});
    }
    device->submit(requests);
    for (ReadResult result; device->in_flight() > 0;) {
      ASSERT_EQ(device->reap({&result, 1}, true), 1u);
      if (result.status.ok()) {
        EXPECT_GE(result.bytes, 8 * kBlock - 100);
      } else {
        EXPECT_NE(result.status.message().find("shrank"), std::string::npos)
            << result.status.to_string();
      }
    }
  }
  stop = true;
  vandal.join();
}

TEST_P(RealDevice, ReadsAFileDeletedSinceItWasOpened) {
  const std::unique_ptr<BlockDevice> device = make();
  TempFile file(3 * kBlock);
  const FileId id = *device->open(file.path());
  ASSERT_EQ(::unlink(file.path().c_str()), 0);
  AlignedBuffer buffer(3 * kBlock);
  const ReadRequest request{
      .file = id, .bytes = 3 * kBlock, .min_bytes = 3 * kBlock, .buffer = buffer.data()};
  EXPECT_TRUE(read_one(*device, request).status.ok());
  EXPECT_TRUE(file.matches(buffer.data(), 0, file.size()));
}

TEST_P(RealDevice, MayMoveBetweenThreadsWithReadsInFlight) {
  TempFile file(16 * 16 * kBlock);
  AlignedBuffer buffer(file.size());
  for (const bool direct : {true, false}) {
    const std::unique_ptr<BlockDevice> device = make(16, direct);
    const FileId id = *device->open(file.path());
    for (int round = 0; round < 50; ++round) {
      buffer.fill(0);
      std::thread([&] {  // ends at once: the kernel may cancel what it submitted
        std::vector<ReadRequest> requests;
        for (uint32_t i = 0; i < 16; ++i) {
          requests.push_back({.file = id,
                              .offset = i * 16 * kBlock,
                              .bytes = 16 * kBlock,
                              .min_bytes = 16 * kBlock,
                              .buffer = buffer.data() + i * 16 * kBlock});
        }
        device->submit(requests);
      })
          .join();
      for (ReadResult result; device->in_flight() > 0;) {
        ASSERT_EQ(device->reap({&result, 1}, true), 1u);
        ASSERT_TRUE(result.status.ok()) << result.status.to_string();
      }
      ASSERT_TRUE(file.matches(buffer.data(), 0, file.size()));
    }
  }
}

TEST_P(RealDevice, WaitsForItsReadsWhenItGoes) {
  TempFile file(16 * 16 * kBlock);
  AlignedBuffer buffer(file.size());
  for (int round = 0; round < 20; ++round) {
    std::unique_ptr<BlockDevice> device = make(16);
    const FileId id = *device->open(file.path());
    for (uint32_t i = 0; i < 16; ++i) {
      const ReadRequest request{.file = id,
                                .offset = i * 16 * kBlock,
                                .bytes = 16 * kBlock,
                                .buffer = buffer.data() + i * 16 * kBlock};
      device->submit({&request, 1});
    }
    device.reset();
    buffer.fill(0x77);
    EXPECT_TRUE(buffer.all(0x77));
  }
}

#ifdef __linux__

TEST_P(RealDevice, ReadsMemoryFileSystemsThroughTheCache) {
  if (::access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "no /dev/shm";
  const std::unique_ptr<BlockDevice> device = make();
  TempFile file(100'001, "/dev/shm");
  const FileId id = *device->open(file.path());
  EXPECT_FALSE(device->is_direct(id));
  AlignedBuffer buffer(25 * kBlock);
  const ReadRequest request{
      .file = id, .bytes = 25 * kBlock, .min_bytes = 100'001, .buffer = buffer.data()};
  EXPECT_EQ(read_one(*device, request).bytes, 100'001u);
  EXPECT_TRUE(file.matches(buffer.data(), 0, file.size()));
}

// procfs refuses O_DIRECT at open().
TEST_P(RealDevice, ReadsBufferedWhereDirectIsRefused) {
  const std::unique_ptr<BlockDevice> device = make();
  const Result<FileId> id = device->open("/proc/version");
  if (!id.ok()) GTEST_SKIP() << "no procfs";
  EXPECT_FALSE(device->is_direct(*id));
  AlignedBuffer buffer(kBlock);
  const ReadRequest request{.file = *id, .bytes = kBlock, .min_bytes = 5, .buffer = buffer.data()};
  ASSERT_TRUE(read_one(*device, request).status.ok());
  EXPECT_EQ(std::memcmp(buffer.data(), "Linux", 5), 0);
}

// /dev/null in the ring's place refuses every entry.
TEST(UringDevice, FailsItsReadsWhereTheKernelTakesNone) {
  TempFile file(2 * kBlock);
  AlignedBuffer buffer(2 * kBlock);
  Result<std::unique_ptr<BlockDevice>> made = make_uring_device({.depth = 4});
  if (!made.ok()) GTEST_SKIP() << made.status().to_string();
  BlockDevice& device = **made;
  const FileId id = *device.open(file.path());
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target != "anon_inode:[io_uring]") continue;
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, std::stoi(entry.path().filename().string()));
    ::close(null);
  }
  for (int round = 0; round < 2; ++round) {  // it stays down
    for (uint32_t i = 0; i < 2; ++i) {
      const ReadRequest request{.file = id,
                                .offset = i * kBlock,
                                .bytes = kBlock,
                                .buffer = buffer.data() + i * kBlock,
                                .tag = i};
      device.submit({&request, 1});
    }
    ReadResult results[4];
    ASSERT_EQ(device.reap(results, true), 2u);
    EXPECT_EQ(device.in_flight(), 0u);
    for (const ReadResult& result : std::span(results).first(2)) {
      const std::string where = "at offset " + std::to_string(result.tag * kBlock);
      EXPECT_NE(result.status.message().find(where + ": io_uring takes no reads"),
                std::string::npos)
          << result.status.to_string();
    }
  }
}

#endif

TEST(MakeBlockDevice, FallsBackAndBoundsTheDepth) {
  const std::unique_ptr<BlockDevice> pread = make_block_device({.depth = 0, .allow_uring = false});
  EXPECT_STREQ(pread->name(), "pread");
  EXPECT_EQ(pread->depth(), 1u);
  EXPECT_EQ(make_block_device({.depth = 1 << 30})->depth(), kDeviceDepthMax);
}

}  // namespace
}  // namespace hypura
