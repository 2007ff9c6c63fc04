#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"

namespace hypura {

// A memory control group of Linux, version 1 or 2, with a limit and without swap. Owns the group's
// directory and removes it; whoever is in it has ended by then.
class MemoryGroup {
 public:
  // Errors: failed where there is no memory controller, or this process may not make groups.
  static Result<MemoryGroup> create(const std::string& name, uint64_t limit_bytes,
                                    const std::string& mount = "/sys/fs/cgroup");
  // "" where create() would work, else why not.
  static std::string why_unavailable();

  MemoryGroup(MemoryGroup&& other) noexcept
      : path_(std::exchange(other.path_, {})), version1_(other.version1_) {}
  MemoryGroup& operator=(MemoryGroup&&) = delete;
  ~MemoryGroup();

  // A process that writes "0" here enters the group.
  std::string entry() const { return path_ + "/cgroup.procs"; }
  // The most it held, page cache included. nullopt on kernels that keep no such count.
  std::optional<uint64_t> peak_bytes() const;
  // Processes that were killed for its limit.
  uint64_t kills() const;

 private:
  MemoryGroup(std::string path, bool version1) : path_(std::move(path)), version1_(version1) {}
  Status set(const char* file, const std::string& value) const;
  Status set_limit(uint64_t limit_bytes) const;

  std::string path_;  // empty: moved from
  bool version1_ = false;
};

}  // namespace hypura
