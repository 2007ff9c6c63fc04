#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/status.h"

namespace hypura {

// What a tensor is for, from its name's conventional parts and its shape, never from a table of
// models. Guides placement and reports; at run time the graph's op decides how it is used.
enum class TensorRole : uint8_t {
  attention,
  norm,
  embedding,
  output,
  router,
  dense_ffn,
  expert,         // ne[2] == expert count; one slice per expert
  shared_expert,
  other,
};
inline constexpr int kTensorRoleCount = 9;
const char* to_string(TensorRole role);

struct Shard {
  std::string path;
  uint64_t bytes = 0;        // of the whole file
  uint64_t data_offset = 0;  // where tensor data starts
};

struct TensorInfo {
  std::string name;
  uint32_t shard = 0;
  uint64_t offset = 0;  // from the start of the shard's file
  uint64_t bytes = 0;   // exact, without padding
  int type = 0;         // ggml_type
  std::array<int64_t, 4> ne{1, 1, 1, 1};
  TensorRole role = TensorRole::other;
  int layer = -1;             // block number, -1 outside of blocks
  uint32_t expert_count = 0;  // ne[2] where role is expert, else 0
  // Of a layer that only predicts tokens behind the next one. llama.cpp leaves it out where it does
  // not draft, as it never does here.
  bool left_out = false;
  // One slice of an expert tensor: bytes / expert_count. 0 for other roles.
  uint64_t expert_bytes() const { return expert_count == 0 ? 0 : bytes / expert_count; }
  int64_t elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
};

// Metadata that reports and planning need; 0 or empty where the file does not say.
struct ModelInfo {
  std::string architecture;
  std::string name;
  std::string quantization;  // "Q4_K - Medium"-like from general.file_type, else the largest type
  bool has_chat_template = false;
  bool has_pooling = false;  // says how embeddings of tokens become one of a text
  uint64_t context_length = 0;
  uint64_t layer_count = 0;
  uint64_t embedding_length = 0;
  uint64_t vocabulary_size = 0;
  uint64_t expert_count = 0;
  uint64_t expert_used_count = 0;
  uint64_t parameter_count = 0;  // elements of all tensors
  uint64_t metadata_bytes = 0;   // headers of all shards, up to the tensor data
  uint64_t weight_bytes = 0;     // sum of tensor bytes over all shards
};

// The validated contents of a GGUF file and its shards: what is where, and nothing read from the
// weights. Acceptance promises, for every tensor: a known ggml type and a positive shape; bytes
// equal to ggml's size for them without overflow; [offset, offset + bytes) inside the shard's data
// and overlapping no other tensor; offset a multiple of 8; a unique name; expert slices that tile
// the tensor exactly, as many as the model's expert_count (chunked experts have their own).
// Immutable, safe to share between threads.
class ModelIndex {
 public:
  // Opens `path` and, for a split file (-00001-of-0000N.gguf), all its shards; any shard may be
  // named. Errors: invalid_model for content, failed with errno for files that cannot be read.
  static Result<ModelIndex> open(const std::string& path);

  const ModelInfo& info() const { return info_; }
  const std::vector<Shard>& shards() const { return shards_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // REQUIRES: id < tensors().size().
  const TensorInfo& tensor(TensorId id) const { return tensors_[id.value]; }
  std::optional<TensorId> find(std::string_view name) const;

  uint64_t bytes_of(TensorRole role) const;

 private:
  ModelInfo info_;
  std::vector<Shard> shards_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, TensorId> by_name_;
};

// "Q4_K", "F32": ggml's name of a ggml_type.
const char* type_name(int ggml_type);

}  // namespace hypura
