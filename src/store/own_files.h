#pragma once

#include <string>

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

}  // namespace hypura
