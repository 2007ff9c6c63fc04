#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace hypura {

// Whose files they are: only those of our own models folder are renamed or removed by us.
enum class ModelSource { folder, ollama, hugging_face };
// "folder", "ollama", "hugging_face".
const char* to_string(ModelSource source);

// What Ollama keeps beside a model. Empty where there is none.
struct ModelTexts {
  std::string chat_template;  // in the syntax of Go's text/template
  std::string system;
  std::string parameters;  // a JSON object: {"temperature": 0.6, "stop": ["<|im_end|>"]}
  std::string license;
};

struct StoredModel {
  std::string name;
  std::string path;            // of its GGUF file, or the first shard
  std::string projector_path;  // of the image encoder; empty: it reads no images
  uint64_t bytes = 0;          // of all shards
  int64_t modified_ns = 0;     // since 1970
  ModelSource source = ModelSource::folder;
  std::string digest;  // SHA-256 of the file (of the first shard); empty: not known
  ModelTexts texts;
};

// The files of a model, whose first shard is `path`.
std::vector<std::string> shards_of(const std::string& path);

// Fills in bytes and modified_ns. False if a shard is missing, or is not a file.
bool take_sizes(StoredModel& model);

// What a small file of another program holds: nullopt unless it is a regular file of 1 byte to
// 4 MiB. Never waits for a pipe.
std::optional<std::string> read_small_file(const std::string& path);

// What is known of a model of our own folder, in NAME.json beside NAME.gguf.
struct Sidecar {
  std::string url;     // where it came from
  std::string sha256;  // of the first shard; empty: not known
  uint64_t bytes = 0;  // of all shards
  ModelTexts texts;
};
// nullopt if there is none, or it is something else's.
std::optional<Sidecar> read_sidecar(const std::string& path);
Status write_sidecar(const std::string& path, const Sidecar& sidecar);

}  // namespace hypura
