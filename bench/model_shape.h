#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hypura {

// The shape of a transformer as its GGUF states it. experts == 0 is a dense model.
struct ModelShape {
  std::string arch;
  uint32_t layers = 0;
  uint32_t embd = 0;
  uint32_t ff = 0;  // of dense layers
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;  // 0: embd / heads
  uint32_t experts = 0;
  uint32_t used = 0;
  uint32_t expert_ff = 0;
  uint32_t shared_ff = 0;  // of the shared expert; 0: none
  uint32_t vocab = 0;

  uint32_t key_dim() const { return head_dim != 0 ? head_dim : embd / heads; }
  bool is_moe() const { return experts > 0; }
};

// What an architecture has beyond attention and SwiGLU.
struct ArchTraits {
  std::string_view name;
  bool qkv_bias = false;
  bool qk_norm = false;
  bool dense = true;  // has models without experts
  bool moe = false;   // has models with experts
  bool shared_expert = false;
};

const ArchTraits* find_arch(std::string_view name);

struct Preset {
  std::string_view name;
  std::string_view note;
  ModelShape shape;
  std::string_view quant = "q4_k_m";
};

std::span<const Preset> presets();
const Preset* find_preset(std::string_view name);

// nullopt where llama.cpp can load the shape; else what is wrong with it.
std::optional<std::string> find_fault(const ModelShape& shape);

}  // namespace hypura
