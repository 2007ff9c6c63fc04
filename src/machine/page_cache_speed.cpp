#include "machine/page_cache_speed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "io/open_file.h"
#include "machine/page_cache.h"
#include "machine/repeated.h"

namespace hypura {
namespace {

constexpr uint64_t kCachedBytes = 64 * kMiB;  // exceeds the processor's caches
constexpr double kSecondsMax = 0.6;

bool stopped(const std::atomic<bool>* stop) {
  return stop != nullptr && stop->load(std::memory_order_relaxed);
}

bool read_whole(int fd, uint64_t bytes, std::vector<std::byte>& buffer) {
  for (uint64_t at = 0; at < bytes;) {
    const uint64_t want = std::min<uint64_t>(buffer.size(), bytes - at);
    const ssize_t got = ::pread(fd, buffer.data(), want, static_cast<off_t>(at));
    if (got <= 0) return false;
    at += static_cast<uint64_t>(got);
  }
  return true;
}

#ifdef MADV_POPULATE_READ

constexpr uint64_t kPagedBytes = 512 * kMiB;
constexpr uint64_t kPieceBytes = 8 * kMiB;

class Mapping {
 public:
  Mapping(int fd, uint64_t bytes) : bytes_(bytes) {
    void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (address != MAP_FAILED) data_ = static_cast<std::byte*>(address);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  std::byte* data() const { return data_; }

  // The share of pages that the page cache holds; 1 if it does not tell.
  double held_share() const {
    std::vector<unsigned char> pages((bytes_ + 4095) / 4096);
    if (::sysconf(_SC_PAGESIZE) != 4096 || ::mincore(data_, bytes_, pages.data()) != 0) return 1;
    const auto held = std::count_if(pages.begin(), pages.end(),
                                    [](unsigned char page) { return (page & 1) != 0; });
    return static_cast<double>(held) / static_cast<double>(pages.size());
  }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_;
};

#endif

}  // namespace

double cached_read_gbps(const std::string& path, const std::atomic<bool>* stop) {
  const Result<OpenFile> file = open_file(path, false);
  if (!file.ok()) return 0;
  const uint64_t bytes = std::min(file->bytes, kCachedBytes);
  std::vector<std::byte> buffer(kMiB);
  if (bytes == 0 || !read_whole(file->fd.get(), bytes, buffer)) return 0;  // fills the cache
  Repeated gbps;
  const double end = now_seconds() + kSecondsMax;
  for (int round = 0; round < 7 && now_seconds() < end && !stopped(stop); ++round) {
    const double begin = now_seconds();
    if (!read_whole(file->fd.get(), bytes, buffer)) return 0;
    gbps.add(static_cast<double>(bytes) * 1e-9 / (now_seconds() - begin));
  }
  drop_file_cache(path);
  return gbps.median();
}

double paged_read_gbps(const std::string& path, const std::atomic<bool>* stop) {
#ifdef MADV_POPULATE_READ
  const Result<OpenFile> file = open_file(path, false);
  if (!file.ok() || lies_in_memory(path)) return 0;
  const uint64_t bytes = round_down(std::min(file->bytes, kPagedBytes), 4096);
  if (bytes == 0 || !drop_file_cache(path)) return 0;
  ::posix_fadvise(file->fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // as llama.cpp asks
  const Mapping mapping(file->fd.get(), bytes);
  // Pages that somebody has mapped stay.
  if (mapping.data() == nullptr || mapping.held_share() > 0.05) return 0;
  // Not piece by piece: reading ahead makes one piece pay for many.
  const double begin = now_seconds();
  uint64_t at = 0;
  while (at < bytes && now_seconds() - begin < kSecondsMax && !stopped(stop)) {
    const uint64_t piece = std::min(kPieceBytes, bytes - at);
    // Faults the pages as touching them would, but a drive that fails is an error and no SIGBUS.
    if (::madvise(mapping.data() + at, piece, MADV_POPULATE_READ) != 0) return 0;
    at += piece;
  }
  const double seconds = now_seconds() - begin;
  drop_file_cache(path);
  return seconds > 0 ? static_cast<double>(at) * 1e-9 / seconds : 0;
#else
  static_cast<void>(path);
  static_cast<void>(stop);
  return 0;
#endif
}

}  // namespace hypura
