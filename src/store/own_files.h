#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace hypura {

// The files of a model of our own folder. `stem_path` is the path of its file without ".gguf" and
// shard number.
struct OwnFiles {
  std::string stem_path;

  // The file that stands for `path`, the file or a shard of a model elsewhere.
  std::string model_like(const std::string& path) const;
  std::string sidecar() const { return stem_path + ".json"; }
  std::string projector() const { return stem_path + ".mmproj.gguf"; }
};

// REQUIRES: the path of a GGUF file of our folder, of the first shard.
OwnFiles own_files_of(const std::string& path);

// A file that is to be made of another.
struct FileCopy {
  std::string from;
  std::string to;
};
// Makes all of them, or none.
Status make_all(const std::vector<FileCopy>& files,
                Status (*make)(const std::string& from, const std::string& to));

// `to` becomes the same file by a second name, or a copy of it on another drive. Errors: failed,
// also where there is a `to`.
Status link_or_copy(const std::string& from, const std::string& to);
// `to` becomes a symbolic link to the file that `from` leads to. Errors: likewise.
Status link_to(const std::string& from, const std::string& to);

// Removes sidecar and projector, and the shards that correspond to those of `like`.
void remove_own(const OwnFiles& own, const std::string& like);

// Whether `bytes` more fit. Errors: failed, with both numbers.
Status check_room(const std::string& folder, uint64_t bytes);

}  // namespace hypura
