#include "model/tensor_role.h"

#include <array>
#include <charconv>

namespace hypura {
namespace {

constexpr std::array<const char*, kTensorRoleCount> kRoleNames = {
    "attention", "norm",   "embedding",     "output", "router",
    "dense_ffn", "expert", "shared_expert", "other"};

constexpr std::array<std::string_view, 5> kEmbeddings = {
    "token_embd", "per_layer_token_embd", "position_embd", "token_types", "nextn.embed_tokens"};
constexpr std::array<std::string_view, 3> kOutputs = {"output", "cls.output",
                                                      "nextn.shared_head_head"};
constexpr std::array<std::string_view, 3> kRouters = {"ffn_gate_inp", "exp_probs_b",
                                                      "ffn_gate_tid2eid"};
constexpr std::array<std::string_view, 3> kAttentionPrefixes = {"attn_", "cross_attn_", "indexer"};

template <size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& list) {
  for (const std::string_view item : list) {
    if (text == item) return true;
  }
  return false;
}

template <size_t N>
bool starts_with_one_of(std::string_view text, const std::array<std::string_view, N>& list) {
  for (const std::string_view item : list) {
    if (text.starts_with(item)) return true;
  }
  return false;
}

// Splits "blk.N." off the front, after an optional "enc." or "dec.". Gives N, or -1.
int take_layer(std::string_view& rest) {
  constexpr std::string_view kBlock = "blk.";
  const size_t block = rest.find(kBlock);
  if (block == std::string_view::npos || (block != 0 && rest[block - 1] != '.')) return -1;
  const char* const end = rest.data() + rest.size();
  int layer = -1;
  const auto [next, error] = std::from_chars(rest.data() + block + kBlock.size(), end, layer);
  if (error != std::errc{} || layer < 0 || next == end || *next != '.') return -1;
  rest.remove_prefix(static_cast<size_t>(next + 1 - rest.data()));
  return layer;
}

// Splits the last part off if it says which of a layer's tensors this is. Gives it, or "".
std::string_view take_suffix(std::string_view& rest) {
  const size_t dot = rest.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string_view suffix = rest.substr(dot + 1);
  if (suffix != "weight" && suffix != "bias" && suffix != "scale") return "";
  rest = rest.substr(0, dot);
  return suffix;
}

// Order matters: "ffn_norm_exps" is a norm and "ffn_gate_inp_shexp" belongs to the shared expert.
TensorRole role_of(std::string_view stem, std::string_view suffix) {
  if (stem.find("norm") != std::string_view::npos) return TensorRole::norm;
  if (is_one_of(stem, kEmbeddings)) return TensorRole::embedding;
  if (is_one_of(stem, kOutputs)) return TensorRole::output;
  if (is_one_of(stem, kRouters)) return TensorRole::router;
  if (stem.ends_with("_shexp")) return TensorRole::shared_expert;
  if (stem.ends_with("_exps") || stem.ends_with("_chexps")) {
    // Biases and scales hold all experts in one small matrix: used whole.
    return suffix == "weight" ? TensorRole::expert : TensorRole::other;
  }
  if (stem.starts_with("ffn_")) return TensorRole::dense_ffn;
  if (starts_with_one_of(stem, kAttentionPrefixes)) return TensorRole::attention;
  return TensorRole::other;
}

}  // namespace

const char* to_string(TensorRole role) { return kRoleNames[static_cast<size_t>(role)]; }

TensorName parse_tensor_name(std::string_view name) {
  TensorName parsed;
  parsed.layer = take_layer(name);
  const std::string_view suffix = take_suffix(name);
  parsed.role = role_of(name, suffix);
  parsed.own_expert_count = name.ends_with("_chexps");
  return parsed;
}

}  // namespace hypura
