#include "io/uring_device.h"

#include "io/read_attempt.h"

#ifdef __linux__

#include <fmt/format.h>
#include <liburing.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "base/check.h"
#include "io/open_file.h"

namespace hypura {
namespace {

// Entries the kernel refused for want of memory are offered again, a millisecond apart; then the
// device gives up, and fails every read.
constexpr uint32_t kRefusalsMax = 5000;

// Invariants:
//   a read occupies one slot from submit() to reap(), through all its attempts; the slot's index is
//   its user_data, and at most one entry of it is in the ring;
//   the submission ring has a place for every slot, so an entry can always be had.
class UringDevice final : public BlockDevice {
 public:
  UringDevice(const io_uring& ring, const BlockDeviceOptions& options);
  ~UringDevice() override;
  UringDevice(const UringDevice&) = delete;
  UringDevice& operator=(const UringDevice&) = delete;

  const char* name() const override { return "io_uring"; }
  Result<FileId> open(const std::string& path) override { return files_.open(path, direct_); }
  uint64_t file_bytes(FileId file) const override { return files_[file].bytes; }
  bool is_direct(FileId file) const override { return files_[file].direct; }
  uint32_t alignment() const override { return kReadAlignment; }
  uint32_t depth() const override { return static_cast<uint32_t>(slots_.size()); }
  uint32_t in_flight() const override { return depth() - static_cast<uint32_t>(free_.size()); }

  void submit(std::span<const ReadRequest> requests) override;
  size_t reap(std::span<ReadResult> results, bool wait) override;

 private:
  struct Slot {
    ReadAttempts attempts;
    bool busy = false;
  };

  void prepare(uint32_t slot);
  void flush();
  void wait_for_completion();
  void wait_to_be_accepted();
  ReadResult release(uint32_t slot);
  size_t reap_refused(std::span<ReadResult> results);

  io_uring ring_;
  const bool direct_;
  FileTable files_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t in_kernel_ = 0;  // entries it took whose completions we have not seen
  int flush_error_ = 0;     // why it took nothing at the last flush
  uint32_t refusals_ = 0;   // flushes in a row that failed with nothing in the kernel
  int refused_error_ = 0;   // set: the device gave up
};

UringDevice::UringDevice(const io_uring& ring, const BlockDeviceOptions& options)
    : ring_(ring), direct_(options.direct), slots_(options.depth) {
  free_.reserve(options.depth);
  for (uint32_t i = options.depth; i > 0; --i) free_.push_back(i - 1);
}

UringDevice::~UringDevice() {
  while (in_kernel_ > 0) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_wait_cqe(&ring_, &cqe) != 0) continue;
    io_uring_cqe_seen(&ring_, cqe);
    --in_kernel_;
  }
  io_uring_queue_exit(&ring_);
}

void UringDevice::submit(std::span<const ReadRequest> requests) {
  HYPURA_CHECK(requests.size() <= free_.size());
  for (const ReadRequest& request : requests) {
    const uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = {.attempts = {request, files_[request.file].direct}, .busy = true};
    if (refused_error_ == 0) prepare(slot);
  }
  flush();
}

size_t UringDevice::reap(std::span<ReadResult> results, bool wait) {
  size_t count = 0;
  while (count < results.size()) {
    if (refused_error_ != 0) return count + reap_refused(results.subspan(count));
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_, &cqe) == 0) {
      const uint32_t slot = static_cast<uint32_t>(io_uring_cqe_get_data64(cqe));
      const int outcome = cqe->res;
      io_uring_cqe_seen(&ring_, cqe);
      --in_kernel_;
      if (slots_[slot].attempts.record(outcome) == ReadNext::again) {
        prepare(slot);
      } else {
        results[count++] = release(slot);
      }
      continue;
    }
    flush();
    if (count > 0 || !wait || in_flight() == 0) break;
    if (in_kernel_ > 0) {
      wait_for_completion();
    } else if (refused_error_ == 0) {
      wait_to_be_accepted();
    }
  }
  flush();
  return count;
}

// Puts a slot's next attempt into the ring.
void UringDevice::prepare(uint32_t slot) {
  const ReadAttempts& attempts = slots_[slot].attempts;
  const OpenFile& file = files_[attempts.request().file];
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  HYPURA_CHECK(sqe != nullptr);
  io_uring_prep_read(sqe, file.fd.get(), attempts.buffer(), attempts.bytes(), attempts.offset());
  // A buffered read would copy from the page cache right here: let the kernel's workers do it.
  if (!file.direct) io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
  io_uring_sqe_set_data64(sqe, slot);
}

// Offers the ring's entries to the kernel. What it refuses stays in the ring.
void UringDevice::flush() {
  while (refused_error_ == 0 && io_uring_sq_ready(&ring_) > 0) {
    const int taken = io_uring_submit(&ring_);
    if (taken <= 0) {
      flush_error_ = taken == 0 ? EAGAIN : -taken;
      const bool may_pass = flush_error_ == EINTR || flush_error_ == EAGAIN ||
                            flush_error_ == EBUSY || flush_error_ == ENOMEM;
      if (!may_pass && in_kernel_ == 0) refused_error_ = flush_error_;
      return;
    }
    in_kernel_ += static_cast<uint32_t>(taken);
    refusals_ = 0;
  }
}

void UringDevice::wait_for_completion() {
  io_uring_cqe* cqe = nullptr;
  const int error = -io_uring_wait_cqe(&ring_, &cqe);
  HYPURA_CHECK(error == 0 || error == EINTR || error == EAGAIN);
}

void UringDevice::wait_to_be_accepted() {
  if (++refusals_ == kRefusalsMax) refused_error_ = flush_error_;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

ReadResult UringDevice::release(uint32_t slot) {
  const ReadAttempts& attempts = slots_[slot].attempts;
  ReadResult result = finish_read(files_[attempts.request().file], attempts);
  slots_[slot].busy = false;
  free_.push_back(slot);
  return result;
}

// Nothing is in the kernel: every read still here failed.
size_t UringDevice::reap_refused(std::span<ReadResult> results) {
  size_t count = 0;
  for (uint32_t slot = 0; slot < slots_.size() && count < results.size(); ++slot) {
    if (!slots_[slot].busy) continue;
    slots_[slot].busy = false;
    free_.push_back(slot);
    const ReadRequest& request = slots_[slot].attempts.request();
    results[count++] = {
        .tag = request.tag,
        .bytes = 0,
        .status = Status(StatusCode::failed,
                         fmt::format("read failed: {} at offset {}: io_uring takes no reads: {}",
                                     files_[request.file].path, request.offset,
                                     describe_errno(refused_error_)))};
  }
  return count;
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> make_uring_device(const BlockDeviceOptions& options) {
  HYPURA_CHECK(options.depth > 0);
  HYPURA_CHECK(options.depth <= kDeviceDepthMax);
  // No flags: SINGLE_ISSUER would bind the ring to one thread; COOP_TASKRUN would hold completions
  // back until the thread that submitted enters the kernel, and that one may be computing.
  io_uring ring{};
  const int error = -io_uring_queue_init(options.depth, &ring, 0);
  if (error != 0) {
    return Status(StatusCode::failed, fmt::format("no io_uring: {}", describe_errno(error)));
  }
  return std::unique_ptr<BlockDevice>(std::make_unique<UringDevice>(ring, options));
}

}  // namespace hypura

#else

namespace hypura {

Result<std::unique_ptr<BlockDevice>> make_uring_device(const BlockDeviceOptions&) {
  return Status(StatusCode::failed, "no io_uring: not Linux");
}

}  // namespace hypura

#endif
