#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "store/stored_model.h"

namespace hypura {

// Where models lie. An empty name, or a folder that is not there, has none.
struct StoreFolders {
  std::string models;               // our own: the only one that is written to
  std::vector<std::string> ollama;  // holding manifests/ and blobs/
  std::string hugging_face;         // holding models--ORG--REPO/
};

// Names of models, as files that are there now: every call reads the folders anew. Called from any
// thread, and beside other programs that use the same folders.
class ModelStore {
 public:
  explicit ModelStore(StoreFolders folders) : folders_(std::move(folders)) {}

  const StoreFolders& folders() const { return folders_; }

  // All models, our own first, each place by name. Of two that share a name the first counts.
  std::vector<StoredModel> list() const;

  // Without case, with or without ":latest". Of a repository without a tag, its Q4_K_M or its only
  // file; of a model in a subfolder, also the file's name alone if no other has it. Errors:
  // invalid_argument for what no name looks like, and where there is none, with what may be meant.
  Result<StoredModel> find(const std::string& name) const;

  // A second name for a model: a link to the same file, or a copy where the folder lies on another
  // drive; of a model of another program a link to its files. Errors: invalid_argument, also if the
  // name is taken; failed with errno.
  Result<StoredModel> copy(const std::string& from, const std::string& to) const;

  // Removes a model of our own folder, or what was downloaded of one. Errors: as find();
  // invalid_argument for models of other programs; failed with errno.
  Status remove(const std::string& name) const;

 private:
  StoreFolders folders_;
};

}  // namespace hypura
