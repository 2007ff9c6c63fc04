#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "store/digest.h"

namespace hypura {

// PATH.partial, a file that is downloaded, and PATH.partial.json, what it is a part of. Kept until
// it is whole, so that a later process goes on with it. Locked: nobody else downloads the same.
// Move-only, used by one thread.
class PartialFile {
 public:
  // Which version of what. Bytes are 0 and texts empty where they are not known.
  struct Origin {
    std::string url;
    std::string version;  // as the server calls it: an ETag or a date
    std::string sha256;   // that it must have
    uint64_t bytes = 0;   // of the whole
  };

  // Takes what is there of `url`, and reads it for its hash; of anything else nothing is kept.
  // Makes the folder. Errors: failed, also where another process has it; interrupted.
  static Result<PartialFile> open(const std::string& path, const std::string& url,
                                  const std::atomic<bool>* stop);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  uint64_t bytes() const { return bytes_; }
  const Origin& origin() const { return origin_; }
  // Of what is written to an empty file from now on.
  Status set_origin(const Origin& origin);

  Status append(std::string_view bytes);
  // Forgets everything.
  Status clear();
  // The hash of all bytes. Once.
  std::string hex() { return hash_.hex(); }
  // Brings everything to the drive.
  Status flush();
  // Under its own name, in the place of what had it.
  Status finish();
  // Removes it.
  void discard();

 private:
  explicit PartialFile(std::string path) : path_(std::move(path)) {}
  Status failed(const char* what) const;
  Status hash_content(const std::atomic<bool>* stop);
  std::string partial() const { return path_ + ".partial"; }
  std::string state() const { return path_ + ".partial.json"; }

  std::string path_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
  Origin origin_;
  Sha256 hash_;
};

}  // namespace hypura
