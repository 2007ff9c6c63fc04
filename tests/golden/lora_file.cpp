#include "golden/lora_file.h"

#include <cstdint>
#include <memory>
#include <random>
#include <string_view>

#include "ggml.h"
#include "gguf.h"
#include "model/model_index.h"

namespace hypura::golden {
namespace {

constexpr int64_t kRank = 4;

bool wanted(const TensorInfo& tensor) {
  for (const std::string_view name : {".attn_q.weight", ".ffn_up.weight", ".ffn_up_exps.weight",
                                      ".ffn_down_exps.weight"}) {
    if (tensor.name.ends_with(name)) return true;
  }
  return false;
}

void add_factor(ggml_context* context, gguf_context* file, const std::string& name, int64_t ne0,
                int64_t ne1, int64_t ne2, std::mt19937& random) {
  ggml_tensor* factor = ne2 > 1 ? ggml_new_tensor_3d(context, GGML_TYPE_F32, ne0, ne1, ne2)
                                : ggml_new_tensor_2d(context, GGML_TYPE_F32, ne0, ne1);
  ggml_set_name(factor, name.c_str());
  std::normal_distribution<float> draw(0.0f, 0.05f);
  float* values = static_cast<float*>(factor->data);
  for (int64_t i = 0; i < ggml_nelements(factor); ++i) values[i] = draw(random);
  gguf_add_tensor(file, factor);
}

}  // namespace

bool write_lora(const std::string& model, const std::string& path) {
  const Result<ModelIndex> index = ModelIndex::open(model);
  if (!index.ok()) return false;
  constexpr size_t kMemoryBytes = size_t{64} << 20;
  const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(
      ggml_init({.mem_size = kMemoryBytes, .mem_buffer = nullptr, .no_alloc = false}), ggml_free);
  const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(gguf_init_empty(), gguf_free);
  gguf_set_val_str(file.get(), "general.type", "adapter");
  gguf_set_val_str(file.get(), "general.architecture", index->info().architecture.c_str());
  gguf_set_val_str(file.get(), "adapter.type", "lora");
  gguf_set_val_f32(file.get(), "adapter.lora.alpha", 4.0f);
  std::mt19937 random(7);
  for (const TensorInfo& tensor : index->tensors()) {
    if (!wanted(tensor)) continue;
    const int64_t experts = tensor.ne[2];
    add_factor(context.get(), file.get(), tensor.name + ".lora_a", tensor.ne[0], kRank, experts,
               random);
    add_factor(context.get(), file.get(), tensor.name + ".lora_b", kRank, tensor.ne[1], experts,
               random);
  }
  return gguf_write_to_file(file.get(), path.c_str(), false);
}

}  // namespace hypura::golden
