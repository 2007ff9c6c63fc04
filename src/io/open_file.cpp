#include "io/open_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

#include <cerrno>

#include "base/check.h"
#include "io/read_attempt.h"

namespace hypura {
namespace {

Status cannot_open(const std::string& path, int error) {
  Status status(StatusCode::failed, fmt::format("cannot open {}: {}", path, describe_errno(error)));
  if (error == ENOENT) status.suggest("check the path");
  if (error == EACCES) status.suggest(fmt::format("chmod +r {}", path));
  if (error == EMFILE) status.suggest("ulimit -n 4096");
  return status;
}

// O_CLOEXEC: a child must not hold a model file of many GiB open.
UniqueFd open_fd(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

#ifdef __linux__

// False where the file system says that direct reads need more than kReadAlignment, or where it
// accepts O_DIRECT (tmpfs, since 6.6) and yet copies from the page cache.
bool direct_makes_sense(int fd) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)) {
    return false;
  }
#ifdef STATX_DIOALIGN
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
      (info.stx_mask & STATX_DIOALIGN) != 0) {
    return info.stx_dio_offset_align != 0 && info.stx_dio_offset_align <= kReadAlignment &&
           info.stx_dio_mem_align <= kReadAlignment;
  }
#endif
  return true;
}

// Some file systems grant O_DIRECT and refuse the first read.
bool direct_read_works(int fd) {
  alignas(kReadAlignment) std::byte block[kReadAlignment];
  return ::pread(fd, block, sizeof block, 0) >= 0 || errno != EINVAL;
}

UniqueFd open_direct(const std::string& path) {
  UniqueFd fd = open_fd(path, O_DIRECT);
  if (fd.get() < 0 || !direct_makes_sense(fd.get())) return UniqueFd();
  return direct_read_works(fd.get()) ? std::move(fd) : UniqueFd();
}

#elif defined(__APPLE__)

UniqueFd open_direct(const std::string& path) {
  UniqueFd fd = open_fd(path, 0);
  if (fd.get() < 0 || ::fcntl(fd.get(), F_NOCACHE, 1) != 0) return UniqueFd();
  // Without this the kernel reads ahead into the cache that we go around.
  ::fcntl(fd.get(), F_RDAHEAD, 0);
  return fd;
}

#else

UniqueFd open_direct(const std::string&) { return UniqueFd(); }

#endif

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

uint64_t OpenFile::bytes_now() const {
  struct stat info {};
  return ::fstat(fd.get(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : bytes;
}

Result<OpenFile> open_file(const std::string& path, bool direct) {
  // Whatever keeps a direct open from working, the buffered one decides and names the error.
  UniqueFd fd = open_fd(path, O_NONBLOCK);  // a FIFO must not hang us before we refuse it
  if (fd.get() < 0) return cannot_open(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return cannot_open(path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Status(StatusCode::failed, fmt::format("cannot open {}: it is a directory", path))
        .suggest("name the file inside it");
  }
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::failed,
                  fmt::format("cannot open {}: it is not a regular file", path));
  }
  UniqueFd direct_fd = direct ? open_direct(path) : UniqueFd();
  const bool is_direct = direct_fd.get() >= 0;
  return OpenFile{.fd = is_direct ? std::move(direct_fd) : std::move(fd),
                  .path = path,
                  .bytes = static_cast<uint64_t>(info.st_size),
                  .direct = is_direct};
}

ReadResult read_now(const OpenFile& file, const ReadRequest& request) {
  ReadAttempts attempts(request, file.direct);
  ReadNext next = ReadNext::again;
  while (next == ReadNext::again) {
    const ssize_t got = ::pread(file.fd.get(), attempts.buffer(), attempts.bytes(),
                                static_cast<off_t>(attempts.offset()));
    next = attempts.record(got < 0 ? -errno : got);
  }
  return finish_read(file, attempts);
}

ReadResult finish_read(const OpenFile& file, const ReadAttempts& attempts) {
  return attempts.result(file.path, attempts.failed() ? file.bytes_now() : file.bytes);
}

Result<FileId> FileTable::open(const std::string& path, bool direct) {
  if (files_.size() == kFilesMax) {
    return Status(StatusCode::failed,
                  fmt::format("cannot open {}: {} files are open already", path, kFilesMax));
  }
  Result<OpenFile> file = open_file(path, direct);
  if (!file.ok()) return file.status();
  files_.push_back(std::make_unique<const OpenFile>(std::move(*file)));
  return FileId{static_cast<uint32_t>(files_.size() - 1)};
}

const OpenFile& FileTable::operator[](FileId file) const {
  HYPURA_CHECK(file.value < files_.size());
  return *files_[file.value];
}

}  // namespace hypura
