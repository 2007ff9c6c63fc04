#include "model_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hypura {
namespace {

constexpr std::array kArchs{
    ArchTraits{.name = "llama", .moe = true},
    ArchTraits{.name = "qwen2", .qkv_bias = true},
    ArchTraits{.name = "qwen3", .qk_norm = true},
    ArchTraits{.name = "qwen3moe", .qk_norm = true, .dense = false, .moe = true},
    ArchTraits{
        .name = "qwen2moe", .qkv_bias = true, .dense = false, .moe = true, .shared_expert = true},
};

// Sizes are those of the preset's quant.
const std::array kPresets{
    Preset{"dense-3g",
           "Yi-6B: 3.7 GB",
           {.arch = "llama",
            .layers = 32,
            .embd = 4096,
            .ff = 11008,
            .heads = 32,
            .kv_heads = 4,
            .vocab = 64000}},
    Preset{"qwen2-7b",
           "Qwen2.5-7B: 4.7 GB",
           {.arch = "qwen2",
            .layers = 28,
            .embd = 3584,
            .ff = 18944,
            .heads = 28,
            .kv_heads = 4,
            .vocab = 152064}},
    Preset{"qwen3-4b",
           "Qwen3-4B with its own output matrix: 2.7 GB",
           {.arch = "qwen3",
            .layers = 36,
            .embd = 2560,
            .ff = 9728,
            .heads = 32,
            .kv_heads = 8,
            .head_dim = 128,
            .vocab = 151936}},
    Preset{"moe-7g",
           "18 of Qwen3-30B-A3B's 48 layers: 7.2 GB",
           {.arch = "qwen3moe",
            .layers = 18,
            .embd = 2048,
            .ff = 6144,
            .heads = 32,
            .kv_heads = 4,
            .head_dim = 128,
            .experts = 128,
            .used = 8,
            .expert_ff = 768,
            .vocab = 151936}},
    Preset{"qwen3-30b",
           "Qwen3-30B-A3B: 18.6 GB",
           {.arch = "qwen3moe",
            .layers = 48,
            .embd = 2048,
            .ff = 6144,
            .heads = 32,
            .kv_heads = 4,
            .head_dim = 128,
            .experts = 128,
            .used = 8,
            .expert_ff = 768,
            .vocab = 151936}},
    Preset{"mixtral",
           "8 of Mixtral-8x7B's 32 layers: 7.2 GB",
           {.arch = "llama",
            .layers = 8,
            .embd = 4096,
            .ff = 14336,
            .heads = 32,
            .kv_heads = 8,
            .experts = 8,
            .used = 2,
            .expert_ff = 14336,
            .vocab = 32000}},
    Preset{"qwen2-14b",
           "Qwen2.5-14B: 9.0 GB, as published",
           {.arch = "qwen2",
            .layers = 48,
            .embd = 5120,
            .ff = 13824,
            .heads = 40,
            .kv_heads = 8,
            .vocab = 152064}},
    Preset{"mixtral-8x7b",
           "Mixtral-8x7B as Q5_K_M: 33.2 GB (published: 32.2, from before its K and V were Q8_0)",
           {.arch = "llama",
            .layers = 32,
            .embd = 4096,
            .ff = 14336,
            .heads = 32,
            .kv_heads = 8,
            .experts = 8,
            .used = 2,
            .expert_ff = 14336,
            .vocab = 32000},
           "q5_k_m"},
    Preset{"llama-70b",
           "Llama-3.3-70B: 42.5 GB, as published",
           {.arch = "llama",
            .layers = 80,
            .embd = 8192,
            .ff = 28672,
            .heads = 64,
            .kv_heads = 8,
            .vocab = 128256}},
    Preset{"qwen2-moe",
           "Qwen1.5-MoE-A2.7B with its shared experts: 8.7 GB",
           {.arch = "qwen2moe",
            .layers = 24,
            .embd = 2048,
            .ff = 5632,
            .heads = 16,
            .kv_heads = 16,
            .experts = 60,
            .used = 4,
            .expert_ff = 1408,
            .shared_ff = 5632,
            .vocab = 151936}},
    Preset{"tiny-moe",
           "for tests: 17 MB",
           {.arch = "qwen3moe",
            .layers = 4,
            .embd = 256,
            .ff = 512,
            .heads = 4,
            .kv_heads = 2,
            .head_dim = 64,
            .experts = 32,
            .used = 4,
            .expert_ff = 256,
            .vocab = 2048}},
};

}  // namespace

const ArchTraits* find_arch(std::string_view name) {
  const auto found = std::ranges::find(kArchs, name, &ArchTraits::name);
  return found == kArchs.end() ? nullptr : &*found;
}

std::span<const Preset> presets() { return kPresets; }

const Preset* find_preset(std::string_view name) {
  const auto found = std::ranges::find(kPresets, name, &Preset::name);
  return found == kPresets.end() ? nullptr : &*found;
}

std::optional<std::string> find_fault(const ModelShape& shape) {
  const ArchTraits* arch = find_arch(shape.arch);
  if (arch == nullptr) return fmt::format("unknown architecture '{}'", shape.arch);
  if (shape.layers == 0 || shape.layers > 512) return "layers must be 1 to 512";
  if (shape.embd == 0 || shape.embd % 32 != 0) return "embd must be a multiple of 32";
  if (shape.heads == 0 || shape.kv_heads == 0) return "heads and kv-heads must be positive";
  if (shape.heads % shape.kv_heads != 0) return "heads must be a multiple of kv-heads";
  if (shape.head_dim == 0 && shape.embd % shape.heads != 0) return "embd must divide by heads";
  if (shape.key_dim() % 2 != 0) return "head-dim must be even";
  if (shape.vocab < 512 || shape.vocab > 262144) return "vocab must be 512 to 262144";
  if (!shape.is_moe()) {
    if (!arch->dense) return fmt::format("{} needs experts", shape.arch);
    if (shape.ff == 0 || shape.ff % 32 != 0) return "ff must be a multiple of 32";
    return std::nullopt;
  }
  if (!arch->moe) return fmt::format("{} has no experts", shape.arch);
  if (shape.experts > 512) return "llama.cpp takes at most 512 experts";
  if (shape.used == 0 || shape.used > shape.experts) return "used must be 1 to experts";
  if (shape.expert_ff == 0 || shape.expert_ff % 32 != 0) {
    return "expert-ff must be a multiple of 32";
  }
  if (arch->shared_expert && (shape.shared_ff == 0 || shape.shared_ff % 32 != 0)) {
    return "shared-ff must be a multiple of 32";
  }
  return std::nullopt;
}

}  // namespace hypura
