#pragma once

#include <string>
#include <vector>

namespace hypura {

// What a folder holds, by name and in its order, hidden ones left out; at most 10,000. Empty for
// what is no folder.
struct FolderFiles {
  std::vector<std::string> files;    // regular ones, or links to such
  std::vector<std::string> folders;  // likewise
};
FolderFiles files_of(const std::string& folder);

// GGUF files of one folder as models: `path` is that of the file or first shard, `stem` its name
// without suffix and shard number.
struct FoundModel {
  std::string stem;
  std::string path;
  std::string projector_path;
};
std::vector<FoundModel> models_among(const std::string& folder,
                                     const std::vector<std::string>& files);

}  // namespace hypura
