#include "machine/scratch_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/units.h"
#include "machine/volume.h"

namespace hypura {
namespace {

constexpr uint64_t kWriteBytes = 4 * kMiB;
constexpr uint64_t kBytesMin = 16 * kMiB;  // less would lie in the cache of any drive

Status cannot_write(const std::string& folder, const std::string& why) {
  return Status(StatusCode::failed, fmt::format("cannot write a temporary file in {}", folder))
      .because(why)
      .suggest("--dir for another folder, or name a model: it is only read");
}

// Drives that compress or merge equal blocks must find nothing to save. splitmix64.
void fill_random(std::span<std::byte> buffer, uint64_t& state) {
  for (size_t at = 0; at + sizeof(uint64_t) <= buffer.size(); at += sizeof(uint64_t)) {
    uint64_t word = (state += 0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    word ^= word >> 31;
    std::memcpy(buffer.data() + at, &word, sizeof word);
  }
}

}  // namespace

Result<ScratchFile> ScratchFile::create(const Options& options, std::span<std::byte> buffer) {
  HYPURA_CHECK(buffer.size() >= kWriteBytes);
  const uint64_t free_bytes = volume_of(options.folder).free_bytes;
  ScratchFile file;
  if (const int error = file.make(options.folder); error != 0) {
    return cannot_write(options.folder, std::strerror(error));
  }
  if (free_bytes / 2 < kBytesMin) {
    return cannot_write(options.folder, fmt::format("{} are free there, it takes {}",
                                                    format_bytes(free_bytes),
                                                    format_bytes(2 * kBytesMin)));
  }
  Options bounded = options;
  bounded.bytes = round_down(std::min(options.bytes, free_bytes / 2), kWriteBytes);
  if (const int error = file.write_random(bounded, buffer); error == EINTR) {
    return Status(StatusCode::interrupted, "interrupted while writing a temporary file");
  } else if (error != 0) {
    return cannot_write(options.folder, std::strerror(error));
  }
  return file;
}

ScratchFile::~ScratchFile() {
  if (named_) ::unlink(path_.c_str());
}

// 0 or errno.
int ScratchFile::make(const std::string& folder) {
  int fd = -1;
#ifdef O_TMPFILE
  fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
  if (fd < 0) fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#endif
  if (fd < 0) {
    path_ = folder + "/.hypura-profile.XXXXXX";
    fd = ::mkstemp(path_.data());
    if (fd < 0) return errno;
    named_ = true;
  }
  fd_ = UniqueFd(fd);
#ifdef F_NOCACHE
  // What macOS has in its cache it reads from there, F_NOCACHE or not.
  ::fcntl(fd, F_NOCACHE, 1);
#endif
#ifdef __linux__
  if (named_) ::unlink(path_.c_str());
  named_ = false;
  path_ = fmt::format("/proc/self/fd/{}", fd);
#endif
  return 0;
}

int ScratchFile::write_random(const Options& options, std::span<std::byte> buffer) {
  const double end = now_seconds() + options.seconds_max;
  uint64_t state = now_ns();
  while (bytes_ < options.bytes && (bytes_ < kBytesMin || now_seconds() < end)) {
    if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) return EINTR;
    fill_random(buffer.first(kWriteBytes), state);
    for (uint64_t done = 0; done < kWriteBytes;) {
      const ssize_t wrote = ::pwrite(fd_.get(), buffer.data() + done, kWriteBytes - done,
                                     static_cast<off_t>(bytes_ + done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return wrote < 0 ? errno : ENOSPC;
      done += static_cast<uint64_t>(wrote);
    }
    bytes_ += kWriteBytes;
  }
  // What is not on the drive yet would be written while it is measured.
  return ::fsync(fd_.get()) == 0 ? 0 : errno;
}

}  // namespace hypura
