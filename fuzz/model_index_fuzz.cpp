// Any bytes as a model file: ModelIndex::open must answer, and if it accepts them, keep every
// promise of model_index.h. The promises are recomputed here the plain way. Bytes after the first
// kCut are the second shard of a split model. How to run: fuzz/CMakeLists.txt.
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "ggml.h"
#include "model/model_index.h"

namespace hypura {
namespace {

constexpr std::string_view kCut = "|shard 2|";
__extension__ typedef __int128 Wide;  // holds any int64 times any int64

// Two names in a directory of this process; it is left behind when the fuzzer is killed.
struct Paths {
  Paths() {
    std::filesystem::path root = "/dev/shm";
    if (!std::filesystem::exists(root)) root = std::filesystem::temp_directory_path();
    std::string pattern = (root / "hypura-fuzz-XXXXXX").string();
    HYPURA_CHECK(mkdtemp(pattern.data()) != nullptr);
    directory = pattern;
    first = (directory / "m-00001-of-00002.gguf").string();
    second = (directory / "m-00002-of-00002.gguf").string();
  }
  ~Paths() { std::filesystem::remove_all(directory); }

  std::filesystem::path directory;
  std::string first;
  std::string second;
};

void write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void check_tensor(const TensorInfo& tensor, const ModelIndex& index) {
  HYPURA_CHECK(!tensor.name.empty());
  HYPURA_CHECK(tensor.type >= 0);
  HYPURA_CHECK(tensor.type < GGML_TYPE_COUNT);
  const ggml_type type = static_cast<ggml_type>(tensor.type);
  HYPURA_CHECK(ggml_blck_size(type) > 0);

  Wide elements = 1;
  for (const int64_t n : tensor.ne) {
    HYPURA_CHECK(n > 0);
    elements *= n;
    HYPURA_CHECK(elements <= INT64_MAX);
  }
  HYPURA_CHECK(tensor.elements() == static_cast<int64_t>(elements));
  HYPURA_CHECK(tensor.ne[0] % ggml_blck_size(type) == 0);
  const Wide bytes = elements / ggml_blck_size(type) * static_cast<Wide>(ggml_type_size(type));
  HYPURA_CHECK(static_cast<Wide>(tensor.bytes) == bytes);

  HYPURA_CHECK(tensor.shard < index.shards().size());
  const Shard& shard = index.shards()[tensor.shard];
  HYPURA_CHECK(tensor.offset >= shard.data_offset);
  HYPURA_CHECK(tensor.offset % 8 == 0);
  HYPURA_CHECK(static_cast<Wide>(tensor.offset) + bytes <= static_cast<Wide>(shard.bytes));
  HYPURA_CHECK(tensor.layer >= -1);
}

void check_experts(const TensorInfo& tensor) {
  HYPURA_CHECK((tensor.expert_count > 0) == (tensor.role == TensorRole::expert));
  if (tensor.expert_count == 0) return;
  HYPURA_CHECK(tensor.expert_count > 1);
  HYPURA_CHECK(tensor.ne[2] == static_cast<int64_t>(tensor.expert_count));
  HYPURA_CHECK(tensor.ne[3] == 1);
  HYPURA_CHECK(tensor.expert_bytes() * tensor.expert_count == tensor.bytes);
}

void check_apart(const TensorInfo& a, const TensorInfo& b) {
  HYPURA_CHECK(a.name != b.name);
  if (a.shard != b.shard) return;
  HYPURA_CHECK(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
}

void check_sums(const ModelIndex& index) {
  uint64_t weights = 0;
  uint64_t parameters = 0;
  for (const TensorInfo& tensor : index.tensors()) {
    weights += tensor.bytes;
    parameters += static_cast<uint64_t>(tensor.elements());
  }
  uint64_t metadata = 0;
  uint64_t files = 0;
  for (const Shard& shard : index.shards()) {
    HYPURA_CHECK(std::filesystem::file_size(shard.path) == shard.bytes);
    metadata += shard.data_offset;
    files += shard.bytes;
  }
  uint64_t by_role = 0;
  for (int role = 0; role < kTensorRoleCount; ++role) {
    by_role += index.bytes_of(static_cast<TensorRole>(role));
  }
  HYPURA_CHECK(index.info().weight_bytes == weights);
  HYPURA_CHECK(index.info().parameter_count == parameters);
  HYPURA_CHECK(index.info().metadata_bytes == metadata);
  HYPURA_CHECK(by_role == weights);
  HYPURA_CHECK(weights + metadata <= files);
  HYPURA_CHECK(index.info().expert_used_count <= index.info().expert_count);
}

void check_promises(const ModelIndex& index) {
  const std::vector<TensorInfo>& tensors = index.tensors();
  HYPURA_CHECK(!tensors.empty());
  HYPURA_CHECK(!index.info().quantization.empty());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    check_tensor(tensors[i], index);
    check_experts(tensors[i]);
    HYPURA_CHECK(index.find(tensors[i].name) == TensorId{i});
    for (uint32_t j = 0; j < i; ++j) check_apart(tensors[i], tensors[j]);
  }
  check_sums(index);
}

void check_refusal(const Status& status) {
  HYPURA_CHECK(status.code() == StatusCode::invalid_model || status.code() == StatusCode::failed);
  for (const char c : status.to_string())
    HYPURA_CHECK(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

}  // namespace
}  // namespace hypura

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  static const Paths paths;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t cut = bytes.find(kCut);
  write(paths.first, bytes.substr(0, cut));
  if (cut == std::string_view::npos) {
    std::filesystem::remove(paths.second);
  } else {
    write(paths.second, bytes.substr(cut + kCut.size()));
  }

  const Result<ModelIndex> index = ModelIndex::open(paths.first);
  if (index.ok()) {
    check_promises(*index);
  } else {
    check_refusal(index.status());
  }
  return 0;
}
