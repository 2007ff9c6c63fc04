#include "machine/memory_group.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

namespace hypura {
namespace {

// The value of a "key 123" line of a file, as control groups write them; 0 if there is none.
uint64_t count_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Status no_group(const std::string& path) {
  return Status(StatusCode::failed,
                fmt::format("cannot make the memory group {}: {}", path, std::strerror(errno)));
}

}  // namespace

Result<MemoryGroup> MemoryGroup::create(const std::string& name, uint64_t limit_bytes,
                                        const std::string& mount) {
  const bool version1 = exists(mount + "/memory");
  const std::string path = mount + (version1 ? "/memory/" : "/") + name;
  if (!version1 && !exists(mount + "/cgroup.controllers")) {
    return Status(StatusCode::failed, "this system has no memory control groups");
  }
  if (::mkdir(path.c_str(), 0755) != 0) return no_group(path);
  MemoryGroup group(path, version1);
  if (Status status = group.set_limit(limit_bytes); !status.ok()) return status;
  return group;
}

std::string MemoryGroup::why_unavailable() {
  const Result<MemoryGroup> group =
      create(fmt::format("hypura-probe-{}", ::getpid()), uint64_t{1} << 30);
  return group.ok() ? std::string() : group.status().message();
}

Status MemoryGroup::set_limit(uint64_t limit_bytes) const {
  const std::string limit = fmt::format("{}", limit_bytes);
  if (!version1_) {
    if (Status status = set("memory.max", limit); !status.ok()) return status;
    return exists(path_ + "/memory.swap.max") ? set("memory.swap.max", "0") : Status();
  }
  if (Status status = set("memory.limit_in_bytes", limit); !status.ok()) return status;
  if (Status status = set("memory.swappiness", "0"); !status.ok()) return status;
  const bool counts_swap = exists(path_ + "/memory.memsw.limit_in_bytes");
  return counts_swap ? set("memory.memsw.limit_in_bytes", limit) : Status();
}

Status MemoryGroup::set(const char* file, const std::string& value) const {
  const std::string path = path_ + "/" + file;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return no_group(path);
  const bool written = ::write(fd, value.data(), value.size()) == std::ssize(value);
  Status status = written ? Status() : no_group(path);
  ::close(fd);
  return status;
}

MemoryGroup::~MemoryGroup() {
  if (path_.empty()) return;
  // A killed process leaves its group a little later than it is waited for.
  constexpr int kAttemptsMax = 100;
  for (int i = 0; i < kAttemptsMax; ++i) {
    if (::rmdir(path_.c_str()) == 0 || errno != EBUSY) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::optional<uint64_t> MemoryGroup::peak_bytes() const {
  std::ifstream file(path_ + (version1_ ? "/memory.max_usage_in_bytes" : "/memory.peak"));
  uint64_t bytes = 0;
  return file >> bytes ? std::optional(bytes) : std::nullopt;
}

uint64_t MemoryGroup::kills() const {
  return count_in(path_ + (version1_ ? "/memory.oom_control" : "/memory.events"), "oom_kill");
}

}  // namespace hypura
