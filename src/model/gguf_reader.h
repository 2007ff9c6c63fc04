#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/model_index.h"

struct gguf_context;

namespace hypura {

using MetadataScalar = std::variant<bool, int64_t, uint64_t, double, std::string>;

// A pair of the header.
struct MetadataEntry {
  std::string key;
  std::optional<MetadataScalar> scalar;  // nullopt: an array
  std::vector<MetadataScalar> array;     // where arrays were asked for
};

// One GGUF file, read by ggml's parser: its metadata by key, and its tensors. The only place of
// this layer that knows ggml. Holds all metadata (vocabulary included) in memory, so keep it
// briefly.
class GgufFile {
 public:
  // Reads the header. Takes ggml's process-wide log callback while parsing, for the error's `why`:
  // lines that other threads log in those milliseconds are lost.
  static Result<GgufFile> open(const std::string& path);

  const Shard& shard() const { return shard_; }

  // All tensors, each valid by itself: named, of a known type and positive shape, with the exact
  // size that ggml gives them, aligned and inside the file. Shard, role, layer and experts are not
  // set.
  Result<std::vector<TensorInfo>> tensors() const;

  // The value of `key`: "" or nullopt if absent, negative or of another type. An array of integers
  // (some files give one value a layer) counts as its largest.
  std::string text(const std::string& key) const;
  std::optional<uint64_t> integer(const std::string& key) const;
  // Elements of the array `key`, 0 if there is none.
  uint64_t array_length(const std::string& key) const;
  bool has(const std::string& key) const;
  // All pairs, in the file's order; `arrays`: with what arrays hold.
  std::vector<MetadataEntry> metadata(bool arrays) const;

 private:
  struct Free {
    void operator()(gguf_context* context) const;
  };

  GgufFile(Shard shard, std::unique_ptr<gguf_context, Free> context)
      : shard_(std::move(shard)), context_(std::move(context)) {}

  Result<TensorInfo> tensor(int64_t index) const;

  Shard shard_;
  std::unique_ptr<gguf_context, Free> context_;
};

}  // namespace hypura
