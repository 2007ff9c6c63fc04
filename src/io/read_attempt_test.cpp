#include "io/read_attempt.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "io/test_support.h"

namespace hypura {
namespace {

// 8 blocks at block 10.
class ReadAttemptsTest : public testing::Test {
 protected:
  ReadAttempts start(bool direct, uint32_t min_bytes = 8 * kReadAlignment) {
    return {{.offset = 10 * kReadAlignment,
             .bytes = 8 * kReadAlignment,
             .min_bytes = min_bytes,
             .buffer = buffer_.data(),
             .tag = 7},
            direct};
  }
  static std::string message(const ReadAttempts& attempts, uint64_t file_bytes = 0) {
    return attempts.result("/m.gguf", file_bytes).status.message();
  }

  AlignedBuffer buffer_{8 * kReadAlignment};
};

TEST_F(ReadAttemptsTest, OneAttemptIsTheRule) {
  ReadAttempts attempts = start(true);
  EXPECT_EQ(attempts.offset(), 40960u);
  EXPECT_EQ(attempts.bytes(), 32768u);
  EXPECT_EQ(attempts.record(32768), ReadNext::done);
  const ReadResult result = attempts.result("/m.gguf", 0);
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.bytes, 32768u);
  EXPECT_EQ(result.tag, 7u);
}

TEST_F(ReadAttemptsTest, ShortDirectReadContinuesAtABlock) {
  ReadAttempts attempts = start(true);
  EXPECT_EQ(attempts.record(2 * 4096 + 100), ReadNext::again);
  EXPECT_EQ(attempts.offset(), 12 * 4096u);
  EXPECT_EQ(attempts.bytes(), 6 * 4096u);
  EXPECT_EQ(attempts.buffer(), buffer_.data() + 2 * 4096);
  EXPECT_EQ(attempts.record(6 * 4096), ReadNext::done);
  EXPECT_EQ(attempts.result("", 0).bytes, 8 * 4096u);
}

TEST_F(ReadAttemptsTest, ShortBufferedReadContinuesAtTheByte) {
  ReadAttempts attempts = start(false);
  EXPECT_EQ(attempts.record(100), ReadNext::again);
  EXPECT_EQ(attempts.offset(), 40960u + 100);
  EXPECT_EQ(attempts.buffer(), buffer_.data() + 100);
  EXPECT_EQ(attempts.record(32768 - 100), ReadNext::done);
}

TEST_F(ReadAttemptsTest, EndOfFileIsFineBehindMinBytes) {
  ReadAttempts attempts = start(true, 5000);
  EXPECT_EQ(attempts.record(4096), ReadNext::again);
  EXPECT_EQ(attempts.record(904), ReadNext::done);
  EXPECT_EQ(attempts.result("", 0).bytes, 5000u);
}

TEST_F(ReadAttemptsTest, EndOfFileBeforeMinBytesNamesTheNumbers) {
  ReadAttempts attempts = start(true, 5000);
  EXPECT_EQ(attempts.record(4096), ReadNext::again);
  EXPECT_EQ(attempts.record(0), ReadNext::failed);
  EXPECT_EQ(message(attempts, 45056),
            "file shrank while reading: /m.gguf has 45056 bytes, needed 5000 at offset 40960");
}

TEST_F(ReadAttemptsTest, ReadsThatEndInsideABlockAreBounded) {
  ReadAttempts attempts = start(true, 5000);
  EXPECT_EQ(attempts.record(4096 + 10), ReadNext::again);
  for (uint32_t i = 1; i < ReadAttempts::kStallsMax; ++i) {
    EXPECT_EQ(attempts.record(10), ReadNext::again);
  }
  EXPECT_EQ(attempts.record(10), ReadNext::failed);
}

TEST_F(ReadAttemptsTest, IoErrorsAreBounded) {
  ReadAttempts attempts = start(true);
  for (uint32_t i = 1; i < ReadAttempts::kEioAttemptsMax; ++i) {
    EXPECT_EQ(attempts.record(-EIO), ReadNext::again);
  }
  ReadAttempts recovers = attempts;
  EXPECT_EQ(recovers.record(32768), ReadNext::done);
  EXPECT_EQ(attempts.record(-EIO), ReadNext::failed);
  EXPECT_EQ(message(attempts),
            "read failed: /m.gguf at offset 40960: Input/output error (errno 5) after 3 attempts");
  EXPECT_EQ(attempts.result("", 0).bytes, 0u);
}

TEST_F(ReadAttemptsTest, InterruptionsAreBounded) {
  ReadAttempts attempts = start(true);
  for (uint32_t i = 1; i < ReadAttempts::kInterruptionsMax; ++i) {
    EXPECT_EQ(attempts.record(i % 2 == 0 ? -EINTR : -EAGAIN), ReadNext::again);
  }
  EXPECT_EQ(attempts.record(-ECANCELED), ReadNext::failed);
}

TEST_F(ReadAttemptsTest, OtherErrorsFailAtOnce) {
  ReadAttempts attempts = start(true);
  EXPECT_EQ(attempts.record(-EINTR), ReadNext::again);
  EXPECT_EQ(attempts.record(-EBADF), ReadNext::failed);
  EXPECT_EQ(message(attempts),
            "read failed: /m.gguf at offset 40960: Bad file descriptor (errno 9)");
}

}  // namespace
}  // namespace hypura
