#pragma once

#include <string>
#include <vector>

#include "store/stored_model.h"

namespace hypura {

// The models of one program's folder, read anew and as far as it can be: a folder that is missing
// has none, and what makes no sense in one is left out. None writes anything. Sorted by name.

// `folder` and its subfolders: every *.gguf is a model named by its path without the suffix ("--"
// is ":"), a complete set of shards is one. NAME.mmproj.gguf is the projector of NAME; a file
// mmproj*.gguf that of all models beside it that have none of their own.
std::vector<StoredModel> list_folder(const std::string& folder);

// An Ollama store: manifests/HOST/OWNER/MODEL/TAG name blobs/sha256-HEX. Names are those that
// `ollama list` shows.
std::vector<StoredModel> list_ollama(const std::string& folder);

// Hugging Face's cache: models--ORG--REPO/snapshots/REVISION/*.gguf, named ORG/REPO:QUANTIZATION.
// Of several revisions the main one counts, then the youngest.
std::vector<StoredModel> list_hugging_face(const std::string& folder);

}  // namespace hypura
