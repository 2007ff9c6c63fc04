#include "machine/page_cache.h"

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

namespace hypura {
namespace {

bool drop_everything() {
  ::sync();  // dirty pages would stay
  const int fd = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, "3", 1) == 1;
  ::close(fd);
  return written;
}

}  // namespace

bool lies_in_memory(const std::string& file) {
#ifdef __linux__
  struct statfs system{};
  if (::statfs(file.c_str(), &system) != 0) return false;
  return system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC;
#else
  static_cast<void>(file);
  return false;
#endif
}

bool drop_file_cache(const std::string& path) {
#ifdef POSIX_FADV_DONTNEED
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool dropped = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
  ::close(fd);
  return dropped;
#else
  static_cast<void>(path);
  return false;
#endif
}

CacheDrop drop_page_cache(const std::vector<std::string>& files) {
  if (drop_everything()) return CacheDrop::everything;
  for (const std::string& file : files) {
    if (!drop_file_cache(file)) return CacheDrop::nothing;
  }
  return CacheDrop::files;
}

}  // namespace hypura
