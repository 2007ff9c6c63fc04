#include "model_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "gguf_stream.h"
#include "vocabulary.h"
#include "weight_tiles.h"

namespace hypura {
namespace {

constexpr uint32_t kContext = 32768;

void set_strings(gguf_context* header, const char* key, const std::vector<std::string>& values) {
  std::vector<const char*> pointers;
  for (const std::string& value : values) pointers.push_back(value.c_str());
  gguf_set_arr_str(header, key, pointers.data(), pointers.size());
}

void set_shape(gguf_context* header, const ModelShape& shape, uint32_t layers) {
  const auto set = [&](const char* key, uint32_t value) {
    gguf_set_val_u32(header, fmt::format("{}.{}", shape.arch, key).c_str(), value);
  };
  const auto set_float = [&](const char* key, float value) {
    gguf_set_val_f32(header, fmt::format("{}.{}", shape.arch, key).c_str(), value);
  };
  set("block_count", layers);
  set("context_length", kContext);
  set("embedding_length", shape.embd);
  // Where llama.cpp finds no expert length it takes this one for the experts.
  set("feed_forward_length", shape.is_moe() && shape.arch == "llama" ? shape.expert_ff : shape.ff);
  set("attention.head_count", shape.heads);
  set("attention.head_count_kv", shape.kv_heads);
  set("attention.key_length", shape.key_dim());
  set("attention.value_length", shape.key_dim());
  set("rope.dimension_count", shape.key_dim());
  set_float("rope.freq_base", 1e6f);
  set_float("attention.layer_norm_rms_epsilon", 1e-6f);
  set("vocab_size", shape.vocab);
  if (!shape.is_moe()) return;
  set("expert_count", shape.experts);
  set("expert_used_count", shape.used);
  set("expert_feed_forward_length", shape.expert_ff);
  if (shape.shared_ff != 0) set("expert_shared_feed_forward_length", shape.shared_ff);
}

void set_vocabulary(gguf_context* header, const Vocabulary& vocabulary) {
  gguf_set_val_str(header, "tokenizer.ggml.model", "gpt2");
  gguf_set_val_str(header, "tokenizer.ggml.pre", "gpt-2");
  set_strings(header, "tokenizer.ggml.tokens", vocabulary.tokens);
  gguf_set_arr_data(header, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, vocabulary.types.data(),
                    vocabulary.types.size());
  set_strings(header, "tokenizer.ggml.merges", vocabulary.merges);
  gguf_set_val_u32(header, "tokenizer.ggml.bos_token_id", vocabulary.end_of_text);
  gguf_set_val_u32(header, "tokenizer.ggml.eos_token_id", vocabulary.end_of_text);
  gguf_set_val_bool(header, "tokenizer.ggml.add_bos_token", false);
}

void set_metadata(gguf_context* header, const ModelShape& shape, const WeightOptions& weights) {
  gguf_set_val_str(header, "general.architecture", shape.arch.c_str());
  // What is learnt of one model's routing is kept by its name.
  std::string name = fmt::format("random {} {}", shape.arch, weights.quant);
  if (weights.zipf > 0) name += fmt::format(", skewed {}", weights.zipf);
  gguf_set_val_str(header, "general.name", name.c_str());
  gguf_set_val_u32(header, "general.quantization_version", GGML_QNT_VERSION);
  set_shape(header, shape, weights.layers_of(shape));
  set_vocabulary(header, make_vocabulary(shape.vocab));
}

void set_split(gguf_context* header, uint32_t shard, uint32_t shards, size_t tensors) {
  gguf_set_val_u16(header, "split.no", static_cast<uint16_t>(shard));
  gguf_set_val_u16(header, "split.count", static_cast<uint16_t>(shards));
  gguf_set_val_i32(header, "split.tensors.count", static_cast<int32_t>(tensors));
}

void add_tensors(gguf_context* header, std::span<const TensorSpec> tensors) {
  const ggml_init_params params{ggml_tensor_overhead() * (tensors.size() + 1), nullptr, true};
  ggml_context* context = ggml_init(params);
  for (const TensorSpec& spec : tensors) {
    const int64_t sizes[] = {spec.cols, spec.rows, spec.experts};
    ggml_tensor* tensor = ggml_new_tensor(context, spec.type, spec.dims(), sizes);
    ggml_set_name(tensor, spec.name.c_str());
    gguf_add_tensor(header, tensor);
  }
  ggml_free(context);
}

// Vectors, and the router with its bias, are F32 and drawn value by value.
void fill_floats(const TensorSpec& spec, size_t row, Random& random, std::span<std::byte> bytes) {
  std::vector<float> values(static_cast<size_t>(spec.cols));
  for (float& value : values) {
    const float drawn = random.gaussian();
    value = spec.fill == Fill::norm ? 1 + 0.02f * drawn : spec.scale * drawn;
  }
  if (!spec.bias.empty()) values[0] = spec.bias[row];
  std::ranges::copy(std::as_bytes(std::span(values)), bytes.begin());
}

Status write_tensor(const TensorSpec& spec, Random random, WeightTiles& tiles, GgufStream& file) {
  std::vector<std::byte> row(ggml_row_size(spec.type, spec.cols));
  const bool drawn_singly = spec.dims() == 1 || spec.fill == Fill::router;
  for (int64_t i = 0; i < spec.rows * spec.experts; ++i) {
    if (drawn_singly) {
      fill_floats(spec, static_cast<size_t>(i), random, row);
    } else if (i % spec.rows < spec.zero_rows) {
      tiles.fill_zero_row(spec, row);
    } else {
      tiles.fill_row(spec, random, row);
    }
    Status status = file.append(row);
    if (!status.ok()) return status;
  }
  return file.end_tensor();
}

Status skip_tensor(const TensorSpec& spec, GgufStream& file) {
  Status status = file.skip(spec.bytes());
  return status.ok() ? file.end_tensor() : status;
}

// Cuts the tensors into `shards` runs of about equal bytes; the last may be short, none is empty.
std::vector<std::span<const TensorSpec>> cut(std::span<const TensorSpec> tensors, size_t shards) {
  uint64_t total = 0;
  for (const TensorSpec& spec : tensors) total += spec.bytes();
  std::vector<std::span<const TensorSpec>> runs;
  uint64_t bytes = 0;
  size_t begin = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    bytes += tensors[i].bytes();
    const size_t runs_left = shards - runs.size() - 1;
    const bool full = bytes * shards >= total * (runs.size() + 1);
    if (runs_left > 0 && (full || tensors.size() - i - 1 == runs_left)) {
      runs.push_back(tensors.subspan(begin, i + 1 - begin));
      begin = i + 1;
    }
  }
  runs.push_back(tensors.subspan(begin));
  return runs;
}

std::string shard_path(const ModelFileOptions& options, size_t shard) {
  if (options.shards == 1) return options.path;
  std::string stem = options.path;
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, shard + 1, options.shards);
}

}  // namespace

Result<std::vector<std::string>> write_model(const ModelShape& shape, const WeightOptions& weights,
                                             const ModelFileOptions& options) {
  Result<std::vector<TensorSpec>> tensors = list_tensors(shape, weights);
  if (!tensors.ok()) return tensors.status();
  if (options.shards == 0 || options.shards > tensors->size()) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} tensors cannot fill {} shards", tensors->size(), options.shards));
  }

  WeightTiles tiles(weights.seed);
  uint64_t index = 0;
  std::vector<std::string> paths;
  const auto runs = cut(*tensors, options.shards);
  for (size_t shard = 0; shard < runs.size(); ++shard) {
    const GgufContext header(gguf_init_empty());
    if (shard == 0) set_metadata(header.get(), shape, weights);
    if (runs.size() > 1) {
      set_split(header.get(), static_cast<uint32_t>(shard), options.shards, tensors->size());
    }
    add_tensors(header.get(), runs[shard]);

    auto file = GgufStream::create(shard_path(options, shard), *header);
    if (!file.ok()) return file.status();
    for (const TensorSpec& spec : runs[shard]) {
      Status status =
          options.sparse
              ? skip_tensor(spec, **file)
              : write_tensor(spec, Random(weights.seed * 1000003 + index++), tiles, **file);
      if (!status.ok()) return status;
    }
    Status status = (*file)->finish();
    if (!status.ok()) return status;
    paths.push_back(shard_path(options, shard));
  }
  return paths;
}

uint32_t silent_token_count() { return make_vocabulary(512).first_word; }

}  // namespace hypura
