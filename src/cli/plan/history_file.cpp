#include "cli/plan/history_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "base/replace_file.h"
#include "cli/folders.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

namespace fs = std::filesystem;

// Others hold the lock for as long as it takes to read and write 100 KiB.
constexpr int kLockTriesMax = 100;
constexpr std::chrono::milliseconds kLockPause{10};

// A lock on a folder, so that no lock file is left lying about.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // False if somebody else has it all the time. Where a file system has no locks there is nothing
  // to wait for: two writers at once then cost one of their runs, never the file.
  bool acquire() const {
    for (int i = 0; i < kLockTriesMax; ++i) {
      if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
      if (errno != EWOULDBLOCK && errno != EINTR) return true;
      std::this_thread::sleep_for(kLockPause);
    }
    return false;
  }

 private:
  int fd_;
};

Status cannot(const char* what, const std::string& path, const std::string& why) {
  return Status(StatusCode::failed, fmt::format("cannot {} the history {}", what, path))
      .because(why);
}

}  // namespace

std::string history_path() {
  const std::string folder = cache_folder("history");
  return folder.empty() ? folder : folder + "/runs.json";
}

Result<std::vector<PastRun>> read_history(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return std::vector<PastRun>();
  // A FIFO would be waited for.
  if (status.type() != fs::file_type::regular) {
    return cannot("read", path, error ? error.message() : "it is no regular file");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return cannot("read", path, std::strerror(errno));
  std::string text(kHistoryBytesMax + 1, '\0');
  file.read(text.data(), std::ssize(text));
  if (file.bad()) return cannot("read", path, std::strerror(errno));
  text.resize(static_cast<size_t>(file.gcount()));
  Result<std::vector<PastRun>> runs = parse_history(text);
  if (runs.ok()) return runs;
  return cannot("read", path, runs.status().message() + ": " + runs.status().why());
}

std::vector<PastRun> past_runs(const std::string& path) {
  if (path.empty()) return {};
  Result<std::vector<PastRun>> runs = read_history(path);
  if (runs.ok()) return *std::move(runs);
  write_note(fmt::format("note: {}: {}\n", runs.status().message(), runs.status().why()));
  return {};
}

Status append_run(const std::string& path, PastRun run) {
  const std::string folder = fs::path(path).parent_path().string();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return cannot("write", path, error.message());
  const FolderLock lock(folder);
  if (!lock.acquire()) return cannot("write", path, "another process is at it");
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    return cannot("write", path, "it is no regular file");
  }
  Result<std::vector<PastRun>> kept = read_history(path);
  std::vector<PastRun> runs;
  if (kept.ok()) runs = *std::move(kept);
  add_run(runs, std::move(run));
  error = replace_file(path, history_json(runs));
  return error ? cannot("write", path, error.message()) : Status();
}

}  // namespace hypura::cli
