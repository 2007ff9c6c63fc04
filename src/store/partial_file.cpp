#include "store/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/replace_file.h"
#include "base/units.h"
#include "store/stored_model.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kPieceBytes = kMiB;

PartialFile::Origin read_origin(const std::string& path) {
  const Json object = Json::parse(read_small_file(path).value_or(""), nullptr, false);
  const auto is_text = [&object](const char* key) {
    return object.contains(key) && object[key].is_string();
  };
  if (!object.is_object() || !is_text("url") || !is_text("version") || !is_text("sha256") ||
      !object.contains("bytes") || !object["bytes"].is_number_unsigned()) {
    return {};
  }
  return {.url = object["url"].get<std::string>(),
          .version = object["version"].get<std::string>(),
          .sha256 = object["sha256"].get<std::string>(),
          .bytes = object["bytes"].get<uint64_t>()};
}

}  // namespace

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_(other.bytes_),
      origin_(std::move(other.origin_)),
      hash_(std::move(other.hash_)) {}

PartialFile::~PartialFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status PartialFile::failed(const char* what) const {
  return Status(StatusCode::failed,
                fmt::format("cannot {} {}: {}", what, partial(), std::strerror(errno)));
}

Result<PartialFile> PartialFile::open(const std::string& path, const std::string& url,
                                      const std::atomic<bool>* stop) {
  PartialFile file(path);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) {
    return Status(StatusCode::failed, fmt::format("cannot create the folder of {}: {}", path,
                                                  error.message()));
  }
  file.fd_ = ::open(file.partial().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file.fd_ < 0) return file.failed("create");
  if (::flock(file.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return file.failed("lock");
    return Status(StatusCode::failed, fmt::format("{} is being downloaded already", path));
  }
  struct stat facts {};
  if (::fstat(file.fd_, &facts) != 0) return file.failed("read");
  // Who had the lock before us may just have given the file its name: then ours is that file.
  struct stat named {};
  if (::stat(file.partial().c_str(), &named) != 0 || named.st_ino != facts.st_ino) {
    return Status(StatusCode::failed, fmt::format("{} was downloaded meanwhile", path));
  }
  file.bytes_ = static_cast<uint64_t>(facts.st_size);
  file.origin_ = read_origin(file.state());
  const Origin& origin = file.origin_;
  const bool goes_on = file.bytes_ > 0 && origin.url == url &&
                       (origin.bytes == 0 || file.bytes_ <= origin.bytes);
  Status status = goes_on ? file.hash_content(stop) : file.clear();
  if (!status.ok()) return status;
  return file;
}

Status PartialFile::hash_content(const std::atomic<bool>* stop) {
  std::vector<char> piece(kPieceBytes);
  for (uint64_t at = 0; at < bytes_;) {
    if (stop != nullptr && stop->load()) return Status(StatusCode::interrupted, "interrupted");
    const ssize_t got = ::pread(fd_, piece.data(), piece.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed("read");
    hash_.add(std::string_view(piece.data(), static_cast<size_t>(got)));
    at += static_cast<uint64_t>(got);
  }
  return Status();
}

Status PartialFile::set_origin(const Origin& origin) {
  origin_ = origin;
  const Json object = {{"url", origin.url},
                       {"version", origin.version},
                       {"sha256", origin.sha256},
                       {"bytes", origin.bytes}};
  const std::string text = object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (const std::error_code error = replace_file(state(), text)) {
    return Status(StatusCode::failed, fmt::format("cannot write {}: {}", state(), error.message()));
  }
  return Status();
}

Status PartialFile::append(std::string_view bytes) {
  hash_.add(bytes);
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(bytes_));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return failed("write");
    bytes_ += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return Status();
}

Status PartialFile::clear() {
  if (::ftruncate(fd_, 0) != 0) return failed("empty");
  bytes_ = 0;
  origin_ = {};
  hash_ = Sha256();
  return Status();
}

Status PartialFile::flush() { return ::fsync(fd_) == 0 ? Status() : failed("write"); }

Status PartialFile::finish() {
  if (::rename(partial().c_str(), path_.c_str()) != 0) return failed("rename");
  std::error_code ignored;
  fs::remove(state(), ignored);
  const int folder =
      ::open(fs::path(path_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return Status();
}

void PartialFile::discard() {
  std::error_code ignored;
  fs::remove(state(), ignored);
  fs::remove(partial(), ignored);
}

}  // namespace hypura
