#include "model/model_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>
#include <set>
#include <stdexcept>
#include <utility>

#include "model/file_type.h"
#include "model/gguf_reader.h"
#include "model/header_file.h"
#include "model/model_file.h"
#include "model/printable.h"
#include "model/shard_names.h"
#include "model/tensor_role.h"

namespace hypura {
namespace {

constexpr uint64_t kShardsMax = 1024;
constexpr uint64_t kTensorsMax = 32768;  // over all shards
constexpr uint64_t kExpertsMax = 65536;  // llama.cpp v0.5.0 stops at 1024

// Paths of all shards of the model that `file` belongs to, in order; just `path` if it is not
// split.
Result<std::vector<std::string>> shard_paths(const std::string& path, const GgufFile& file) {
  const uint64_t count = file.integer("split.count").value_or(0);
  if (count <= 1) return std::vector<std::string>{path};
  if (count > kShardsMax) {
    return invalid_model(path, fmt::format("split.count is {}, the most is {}", count, kShardsMax));
  }
  std::optional<ShardName> name = parse_shard_name(path);
  if (!name.has_value() || name->count != count) {
    const uint64_t number = file.integer("split.no").value_or(0) + 1;
    return invalid_model(
               path, fmt::format("the file is one of {} shards, its name says otherwise", count))
        .suggest(
            fmt::format("give it back its name, like NAME-{:05}-of-{:05}.gguf", number, count));
  }
  std::vector<std::string> paths;
  for (name->number = 1; name->number <= count; ++name->number) paths.push_back(to_path(*name));
  return paths;
}

// Whether `file` says that it is shard `number` (from 0) of `count`.
Status check_shard(const GgufFile& file, uint64_t number, uint64_t count) {
  const std::optional<uint64_t> says_number = file.integer("split.no");
  const std::optional<uint64_t> says_count = file.integer("split.count");
  if (!says_number.has_value() || !says_count.has_value()) {
    return invalid_model(file.shard().path, "split.no or split.count is missing");
  }
  if (*says_number == number && *says_count == count) return {};
  return invalid_model(file.shard().path,
                       fmt::format("split.no is {} and split.count {}, the name says {} and {}",
                                   *says_number, *says_count, number, count))
      .suggest("the shards may come from different models: fetch them again");
}

// Metadata of the first shard. Counts of tensors and bytes are not set.
ModelInfo read_info(const GgufFile& file) {
  ModelInfo info;
  info.architecture = file.text("general.architecture");
  info.name = file.text("general.name");
  info.quantization = file_type_name(file.integer("general.file_type").value_or(UINT64_MAX));
  info.has_chat_template = !file.text("tokenizer.chat_template").empty();
  info.has_pooling = file.has(info.architecture + ".pooling_type");
  const auto number = [&](const char* key) {
    return file.integer(info.architecture + key).value_or(0);
  };
  info.context_length = number(".context_length");
  info.layer_count = number(".block_count");
  info.embedding_length = number(".embedding_length");
  info.expert_count = number(".expert_count");
  info.expert_used_count = number(".expert_used_count");
  info.vocabulary_size = file.array_length("tokenizer.ggml.tokens");
  if (info.vocabulary_size == 0) info.vocabulary_size = number(".vocab_size");
  return info;
}

Status check_expert_counts(const std::string& path, const ModelInfo& info) {
  if (info.expert_count > kExpertsMax) {
    return invalid_model(
        path, fmt::format("expert_count is {}, the most is {}", info.expert_count, kExpertsMax));
  }
  if (info.expert_used_count > info.expert_count) {
    return invalid_model(path, fmt::format("{} experts are used per token, but there are only {}",
                                           info.expert_used_count, info.expert_count));
  }
  return {};
}

// Fills in what the name and the shape say together: role, layer, experts.
Status assign_role(const std::string& path, uint64_t expert_count, TensorInfo& tensor) {
  const TensorName name = parse_tensor_name(tensor.name);
  tensor.role = name.role;
  tensor.layer = name.layer;
  if (name.role != TensorRole::expert) return {};

  const uint64_t experts = static_cast<uint64_t>(tensor.ne[2]);
  const uint64_t expected = name.own_expert_count ? experts : std::max<uint64_t>(expert_count, 1);
  if (experts != expected || experts > kExpertsMax || tensor.ne[3] != 1) {
    return invalid_model(path,
                         fmt::format("tensor '{}' has {} x {} experts, the model has {}",
                                     printable(tensor.name), experts, tensor.ne[3], expert_count));
  }
  if (experts == 1) {
    tensor.role = TensorRole::dense_ffn;
  } else {
    tensor.expert_count = static_cast<uint32_t>(experts);
  }
  return {};
}

// REQUIRES: every tensor lies inside its shard.
Status check_overlaps(const std::vector<Shard>& shards, const std::vector<TensorInfo>& tensors) {
  std::vector<const TensorInfo*> order;
  order.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return a->shard != b->shard ? a->shard < b->shard : a->offset < b->offset;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo& before = *order[i - 1];
    const TensorInfo& after = *order[i];
    if (before.shard != after.shard || before.offset + before.bytes <= after.offset) continue;
    return invalid_model(
        shards[after.shard].path,
        fmt::format("tensors '{}' and '{}' overlap: one ends at byte {}, the other starts at {}",
                    printable(before.name), printable(after.name), before.offset + before.bytes,
                    after.offset));
  }
  return {};
}

// Adds `value` to `sum`; false if that passes 2^63.
bool add(uint64_t& sum, uint64_t value) {
  return !__builtin_add_overflow(sum, value, &sum) && sum <= uint64_t{INT64_MAX};
}

Status add_totals(const std::vector<Shard>& shards, const std::vector<TensorInfo>& tensors,
                  ModelInfo& info) {
  bool fits = true;
  for (const Shard& shard : shards) fits = fits && add(info.metadata_bytes, shard.data_offset);
  for (const TensorInfo& tensor : tensors) {
    fits = fits && add(info.weight_bytes, tensor.bytes) &&
           add(info.parameter_count, static_cast<uint64_t>(tensor.elements()));
  }
  if (fits) return {};
  return invalid_model(shards.front().path, "the tensors together pass 2^63 bytes or parameters");
}

// REQUIRES: !tensors.empty().
int type_with_most_bytes(const std::vector<TensorInfo>& tensors) {
  std::map<int, uint64_t> bytes;
  for (const TensorInfo& tensor : tensors) bytes[tensor.type] += tensor.bytes;
  return std::max_element(bytes.begin(), bytes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

struct Contents {
  ModelInfo info;
  std::vector<Shard> shards;
  std::vector<TensorInfo> tensors;
};

Status add_tensors(const GgufFile& file, Contents& contents) {
  Result<std::vector<TensorInfo>> tensors = file.tensors();
  if (!tensors.ok()) return tensors.status();
  if (contents.tensors.size() + tensors->size() > kTensorsMax) {
    return invalid_model(file.shard().path,
                         fmt::format("the shards hold more than {} tensors", kTensorsMax));
  }
  for (TensorInfo& tensor : *tensors) {
    tensor.shard = static_cast<uint32_t>(contents.shards.size());
    const Status status = assign_role(file.shard().path, contents.info.expert_count, tensor);
    if (!status.ok()) return status;
    contents.tensors.push_back(std::move(tensor));
  }
  contents.shards.push_back(file.shard());
  return {};
}

Status check_tensor_count(const std::string& path, uint64_t count,
                          std::optional<uint64_t> expected) {
  if (count == 0) {
    return invalid_model(path, "the file has no tensors")
        .because("it holds metadata alone, as a vocabulary-only file does")
        .suggest("open the file that holds the model's weights");
  }
  if (!expected.has_value() || *expected == count) return {};
  return invalid_model(
      path, fmt::format("the shards hold {} tensors, split.tensors.count is {}", count, *expected));
}

// Reads all shards, one in memory at a time. Throws when memory runs out, as ggml's parser may.
Result<Contents> read_contents(const std::string& path) {
  Result<GgufFile> file = GgufFile::open(path);
  if (!file.ok()) return file.status();
  const Result<std::vector<std::string>> paths = shard_paths(path, *file);
  if (!paths.ok()) return paths.status();

  Contents contents;
  std::optional<uint64_t> tensors_expected;
  for (size_t i = 0; i < paths->size(); ++i) {
    const std::string& shard = (*paths)[i];
    if (shard != file->shard().path) file = GgufFile::open(shard);
    if (!file.ok()) {
      Status status = file.status();
      if (!status.hint().empty()) return status;
      return status.suggest(fmt::format("all {} shards must lie in one folder", paths->size()));
    }
    if (paths->size() > 1) {
      if (Status status = check_shard(*file, i, paths->size()); !status.ok()) return status;
    }
    if (i == 0) {
      contents.info = read_info(*file);
      tensors_expected = file->integer("split.tensors.count");
      if (Status status = check_expert_counts(shard, contents.info); !status.ok()) return status;
    }
    if (Status status = add_tensors(*file, contents); !status.ok()) return status;
  }
  const Status status = check_tensor_count(path, contents.tensors.size(), tensors_expected);
  if (!status.ok()) return status;
  return contents;
}

void find_left_out(std::vector<TensorInfo>& tensors) {
  std::set<int> layers;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name.find(".nextn.eh_proj.") != std::string::npos) layers.insert(tensor.layer);
  }
  layers.erase(-1);
  for (TensorInfo& tensor : tensors) tensor.left_out = layers.contains(tensor.layer);
}

// What can only be said of all tensors together.
Status check_and_sum(Contents& contents) {
  find_left_out(contents.tensors);
  if (Status status = check_overlaps(contents.shards, contents.tensors); !status.ok()) {
    return status;
  }
  if (contents.info.quantization.empty()) {
    contents.info.quantization = type_name(type_with_most_bytes(contents.tensors));
  }
  return add_totals(contents.shards, contents.tensors, contents.info);
}

}  // namespace

Result<ModelIndex> ModelIndex::open(const std::string& path) {
  if (is_header_file(path)) {
    return invalid_model(path, "a saved header has no weights")
        .suggest("`hypura plan` and `hypura estimate` take it; to run, name the model's file");
  }
  try {
    Result<Contents> contents = read_contents(path);
    if (!contents.ok()) return contents.status();
    if (Status status = check_and_sum(*contents); !status.ok()) return status;

    ModelIndex index;
    index.info_ = std::move(contents->info);
    index.shards_ = std::move(contents->shards);
    index.tensors_ = std::move(contents->tensors);
    for (uint32_t i = 0; i < index.tensors_.size(); ++i) {
      const TensorInfo& tensor = index.tensors_[i];
      if (index.by_name_.emplace(tensor.name, TensorId{i}).second) continue;
      return invalid_model(index.shards_[tensor.shard].path,
                           fmt::format("tensor '{}' is there twice", printable(tensor.name)));
    }
    return index;
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return Status(StatusCode::failed, "cannot index " + path).because("out of memory");
}

std::optional<TensorId> ModelIndex::find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

uint64_t ModelIndex::bytes_of(TensorRole role) const {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : tensors_) {
    if (tensor.role == role) bytes += tensor.bytes;
  }
  return bytes;
}

}  // namespace hypura
