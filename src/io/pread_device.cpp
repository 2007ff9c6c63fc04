#include "io/pread_device.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/thread_urgency.h"
#include "io/fixed_queue.h"
#include "io/open_file.h"
#include "io/read_attempt.h"

namespace hypura {
namespace {

struct Job {
  const OpenFile* file = nullptr;
  ReadRequest request;
};

// Jobs in, results out, shared between the device's thread and the workers: the only state under
// the lock. Jobs still queued at stop() are dropped.
class JobBoard {
 public:
  explicit JobBoard(uint32_t depth) : jobs_(depth), results_(depth) {}

  void post(std::span<const Job> jobs);
  // For a worker: the next job, or false when it shall end.
  bool next(Job& job);
  void finish(ReadResult result);
  // Moves results out; waits for the first if `wait`.
  size_t collect(std::span<ReadResult> results, bool wait);
  void stop();

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable job_posted_;
  std::condition_variable job_finished_;
  FixedQueue<Job> jobs_;
  FixedQueue<ReadResult> results_;
  bool stopping_ = false;
};

void JobBoard::post(std::span<const Job> jobs) {
  {
    std::lock_guard lock(mutex_);
    for (const Job& job : jobs) jobs_.push(job);
  }
  for (size_t i = 0; i < jobs.size(); ++i) job_posted_.notify_one();
}

bool JobBoard::next(Job& job) {
  std::unique_lock lock(mutex_);
  job_posted_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
  if (stopping_) return false;
  job = jobs_.pop();
  return true;
}

void JobBoard::finish(ReadResult result) {
  {
    std::lock_guard lock(mutex_);
    results_.push(std::move(result));
  }
  job_finished_.notify_one();
}

size_t JobBoard::collect(std::span<ReadResult> results, bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) job_finished_.wait(lock, [this] { return !results_.empty(); });
  size_t count = 0;
  while (count < results.size() && !results_.empty()) results[count++] = results_.pop();
  return count;
}

void JobBoard::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  job_posted_.notify_all();
}

class PreadDevice final : public BlockDevice {
 public:
  explicit PreadDevice(const BlockDeviceOptions& options);
  ~PreadDevice() override;
  PreadDevice(const PreadDevice&) = delete;
  PreadDevice& operator=(const PreadDevice&) = delete;

  const char* name() const override { return "pread"; }
  Result<FileId> open(const std::string& path) override { return files_.open(path, direct_); }
  uint64_t file_bytes(FileId file) const override { return files_[file].bytes; }
  bool is_direct(FileId file) const override { return files_[file].direct; }
  uint32_t alignment() const override { return kReadAlignment; }
  uint32_t depth() const override { return depth_; }
  uint32_t in_flight() const override { return in_flight_; }

  void submit(std::span<const ReadRequest> requests) override;
  size_t reap(std::span<ReadResult> results, bool wait) override;

 private:
  void work();

  const uint32_t depth_;
  const bool direct_;
  FileTable files_;  // the workers see its entries only, through their jobs
  uint32_t in_flight_ = 0;
  std::vector<Job> posted_;  // scratch of submit()
  JobBoard board_;
  std::vector<std::jthread> workers_;
};

PreadDevice::PreadDevice(const BlockDeviceOptions& options)
    : depth_(options.depth), direct_(options.direct), board_(options.depth) {
  HYPURA_CHECK(options.depth > 0);
  HYPURA_CHECK(options.depth <= kDeviceDepthMax);
  posted_.reserve(depth_);
  const uint32_t threads = std::min(depth_, kPreadThreadsMax);
  for (uint32_t i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

PreadDevice::~PreadDevice() {
  board_.stop();
  workers_.clear();  // joins: reads that have started end
}

void PreadDevice::submit(std::span<const ReadRequest> requests) {
  HYPURA_CHECK(in_flight_ + requests.size() <= depth_);
  posted_.clear();
  for (const ReadRequest& request : requests) {
    posted_.push_back({.file = &files_[request.file], .request = request});
  }
  in_flight_ += static_cast<uint32_t>(requests.size());
  board_.post(posted_);
}

size_t PreadDevice::reap(std::span<ReadResult> results, bool wait) {
  if (results.empty() || in_flight_ == 0) return 0;
  const size_t count = board_.collect(results, wait);
  in_flight_ -= static_cast<uint32_t>(count);
  return count;
}

void PreadDevice::work() {
  set_thread_urgency(ThreadUrgency::waited_for);
  for (Job job; board_.next(job);) board_.finish(read_now(*job.file, job.request));
}

}  // namespace

std::unique_ptr<BlockDevice> make_pread_device(const BlockDeviceOptions& options) {
  return std::make_unique<PreadDevice>(options);
}

}  // namespace hypura
