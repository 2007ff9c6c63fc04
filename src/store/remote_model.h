#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/http.h"
#include "store/stored_model.h"

namespace hypura {

// A file on a server. Without sha256 or bytes, what the server says when it is fetched counts.
struct RemoteFile {
  std::string url;
  std::string sha256;
  uint64_t bytes = 0;
};

// What a name that can be pulled leads to.
struct RemoteModel {
  std::string name;  // to store it under, if no other was asked for
  std::string url;   // that tells it from others
  std::vector<RemoteFile> shards;
  std::optional<RemoteFile> projector;
  ModelTexts texts;
};

// A file by its address; of a split model any shard stands for all. A page of Hugging Face that
// shows a file stands for the file.
RemoteModel remote_file(const std::string& url);

// ORG/REPO[:QUANTIZATION] of Hugging Face, whose server is `base`. Without a quantization its
// Q4_K_M, or the only one. Errors: invalid_argument with those there are; as http_text().
Result<RemoteModel> find_on_hugging_face(const std::string& base, const std::string& name,
                                         const HttpSettings& settings);

// [OWNER/]MODEL[:TAG] of Ollama's registry, whose server is `base`, with the texts beside it.
// Errors: as http_text(), invalid_model for a manifest that makes no sense.
Result<RemoteModel> find_at_ollama(const std::string& base, const std::string& name,
                                   const HttpSettings& settings);

}  // namespace hypura
