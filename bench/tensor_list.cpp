#include "tensor_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>

#include "random.h"

namespace hypura {
namespace {

// The types of one file: one for all matrices but for those llama.cpp's mixtures lift.
struct Quant {
  ggml_type base = GGML_TYPE_Q4_K;
  ggml_type lifted = GGML_TYPE_Q4_K;

  bool is_mixture() const { return lifted != base; }

  // llama.cpp's use_more_bits(): the first and the last eighth, and every third layer between.
  ggml_type lifted_at(uint32_t layer, uint32_t layers) const {
    const bool more =
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    return more ? lifted : base;
  }
};

// Where llama.cpp's mixtures make an exception for attention, which is small beside the rest: in
// models of 8 experts, and in V of the 70B llama.
struct AttentionTypes {
  ggml_type k;
  ggml_type v;
  ggml_type output;
};

AttentionTypes attention_types(const ModelShape& shape, const Quant& quant, uint32_t layer) {
  AttentionTypes types{quant.base, quant.lifted_at(layer, shape.layers), quant.base};
  if (!quant.is_mixture()) return types;
  const bool is_70b =
      shape.arch == "llama" && shape.layers == 80 && shape.heads != shape.kv_heads;
  if (is_70b && types.v == GGML_TYPE_Q4_K) types.v = GGML_TYPE_Q5_K;
  if (shape.experts == 8) {
    types.k = types.v = GGML_TYPE_Q8_0;
    types.output = GGML_TYPE_Q5_K;
  }
  return types;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool parse_quant(std::string_view name, Quant* quant) {
  const std::string wanted = lower(name);
  if (wanted == "q4_k_m" || wanted == "q5_k_m") {
    *quant = {wanted[1] == '4' ? GGML_TYPE_Q4_K : GGML_TYPE_Q5_K, GGML_TYPE_Q6_K};
    return true;
  }
  ggml_type type = GGML_TYPE_COUNT;
  if (!parse_type(wanted, &type)) return false;
  *quant = {type, type};
  return true;
}

// A row that does not divide into blocks falls back, as in llama.cpp.
ggml_type fit(ggml_type type, int64_t cols) {
  if (cols % ggml_blck_size(type) == 0) return type;
  return cols % 32 == 0 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
}

// The inverse of the normal distribution function, by bisection: it runs a few hundred times.
double normal_quantile(double probability) {
  double low = -8;
  double high = 8;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

// The k of p_r = min(cap, k * r^-zipf) for which the p_r add up to `used`.
double zipf_factor(uint32_t experts, uint32_t used, double zipf, double cap) {
  double low = 0;
  double high = 1e9;
  for (int step = 0; step < 100; ++step) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (uint32_t rank = 1; rank <= experts; ++rank) {
      sum += std::min(cap, middle * std::pow(rank, -zipf));
    }
    (sum < used ? low : high) = middle;
  }
  return low;
}

// Router logits are N(bias, 1). An expert passes the threshold 0 with probability p when its bias
// is the quantile of p, and the p add up to `used`: so top-k chooses about those. Ranks are
// shuffled.
std::vector<float> router_bias(const ModelShape& shape, double zipf, Random random) {
  constexpr double kMostOften = 0.98;
  const double factor = zipf_factor(shape.experts, shape.used, zipf, kMostOften);
  std::vector<uint32_t> ranks(shape.experts);
  std::iota(ranks.begin(), ranks.end(), 1);
  for (uint32_t i = shape.experts; i > 1; --i) std::swap(ranks[i - 1], ranks[random.below(i)]);

  std::vector<float> bias;
  for (uint32_t rank : ranks) {
    const double probability = std::min(kMostOften, factor * std::pow(rank, -zipf));
    bias.push_back(static_cast<float>(normal_quantile(probability)));
  }
  return bias;
}

// Collects the tensors. Scales keep every activation near N(0, 1): a matrix has 1/sqrt(row length),
// and what a sublayer adds to the residual has variance 1/(2 * layers), so that the residual, which
// begins as the token's own random embedding, ends with variance 2: routing depends on the token
// and on what came before it.
class TensorList {
 public:
  TensorList(const ModelShape& shape, const WeightOptions& options, Quant quant)
      : shape_(shape), options_(options), arch_(*find_arch(shape.arch)), quant_(quant) {}

  std::vector<TensorSpec> build() && {
    // Without a matrix of its own the output would repeat the token that came in.
    matrix("token_embd.weight", quant_.base, shape_.embd, shape_.vocab, 1);
    tensors_.back().steady_channel = skewed();
    matrix("output.weight", quant_.lifted, shape_.embd, shape_.vocab,
           kLogitScale * unit(shape_.embd));
    tensors_.back().zero_rows = options_.silent_tokens;
    norm("output_norm", shape_.embd);
    for (uint32_t layer = 0; layer < options_.layers_of(shape_); ++layer) {
      echo_ = options_.echo_from > 0 && layer >= options_.echo_from ? kEcho : 1;
      prefix_ = fmt::format("blk.{}.", layer);
      attention(layer);
      shape_.is_moe() ? experts(layer) : dense(layer);
    }
    return std::move(tensors_);
  }

 private:
  static constexpr float kLogitScale = 3;
  // What an echoing layer keeps of its share.
  static constexpr float kEcho = 0.04f;
  // The variance of silu(a) * b for a, b ~ N(0, 1).
  static constexpr float kSwigluVariance = 0.355f;

  static float unit(int64_t cols) { return 1 / std::sqrt(static_cast<float>(cols)); }
  float residual() const { return 1 / std::sqrt(2 * static_cast<float>(shape_.layers)); }
  bool skewed() const { return shape_.is_moe() && options_.zipf > 0; }

  void attention(uint32_t layer) {
    const int64_t q_dim = int64_t{shape_.key_dim()} * shape_.heads;
    const int64_t kv_dim = int64_t{shape_.key_dim()} * shape_.kv_heads;
    const AttentionTypes types = attention_types(shape_, quant_, layer);
    norm("attn_norm", shape_.embd);
    matrix("attn_q.weight", quant_.base, shape_.embd, q_dim, unit(shape_.embd));
    matrix("attn_k.weight", types.k, shape_.embd, kv_dim, unit(shape_.embd));
    matrix("attn_v.weight", types.v, shape_.embd, kv_dim, unit(shape_.embd));
    if (arch_.qkv_bias) {
      vector("attn_q.bias", q_dim, Fill::gaussian, 0.02f);
      vector("attn_k.bias", kv_dim, Fill::gaussian, 0.02f);
      vector("attn_v.bias", kv_dim, Fill::gaussian, 0.02f);
    }
    if (arch_.qk_norm) {
      norm("attn_q_norm", shape_.key_dim());
      norm("attn_k_norm", shape_.key_dim());
    }
    matrix("attn_output.weight", types.output, q_dim, shape_.embd,
           echo_ * residual() * unit(q_dim));
    to_residual();
  }

  void dense(uint32_t layer) {
    norm("ffn_norm", shape_.embd);
    swiglu(layer, "", shape_.ff, 1, 1);
  }

  void experts(uint32_t layer) {
    norm("ffn_norm", shape_.embd);
    router(layer);
    // The weights of the chosen are not equal: their mean has the variance of about so many.
    const float effective = std::max(1.0f, static_cast<float>(shape_.used) / 1.3f);
    swiglu(layer, "_exps", shape_.expert_ff, shape_.experts, std::sqrt(effective));
    if (arch_.shared_expert) {
      vector("ffn_gate_inp_shexp.weight", shape_.embd, Fill::gaussian, unit(shape_.embd));
      swiglu(layer, "_shexp", shape_.shared_ff, 1, 1);
    }
  }

  // Stays F32, as in models that were trained.
  void router(uint32_t layer) {
    matrix("ffn_gate_inp.weight", GGML_TYPE_F32, shape_.embd, shape_.experts, unit(shape_.embd));
    tensors_.back().fill = Fill::router;
    if (!skewed()) return;
    // Channel 0 of the residual is 1; normalised, it is 1 / rms of the residual here.
    const float rms = std::sqrt(1 + (2 * static_cast<float>(layer) + 1) * residual() * residual());
    std::vector<float> bias = router_bias(shape_, options_.zipf, Random(options_.seed + layer));
    for (float& value : bias) value *= rms;
    tensors_.back().bias = std::move(bias);
  }

  void swiglu(uint32_t layer, std::string_view suffix, int64_t ff, int64_t experts, float gain) {
    const auto name = [&](std::string_view part) {
      return fmt::format("{}{}.weight", part, suffix);
    };
    const float down = echo_ * residual() * gain * unit(ff) / std::sqrt(kSwigluVariance);
    matrix(name("ffn_gate"), quant_.base, shape_.embd, ff, unit(shape_.embd), experts);
    matrix(name("ffn_up"), quant_.base, shape_.embd, ff, unit(shape_.embd), experts);
    matrix(name("ffn_down"), quant_.lifted_at(layer, shape_.layers), ff, shape_.embd, down,
           experts);
    to_residual();
  }

  void matrix(std::string_view name, ggml_type type, int64_t cols, int64_t rows, float scale,
              int64_t experts = 1) {
    tensors_.push_back({.name = prefix_ + std::string(name),
                        .type = fit(type, cols),
                        .cols = cols,
                        .rows = rows,
                        .experts = experts,
                        .scale = scale});
  }

  void vector(std::string_view name, int64_t cols, Fill fill, float scale) {
    tensors_.push_back(
        {.name = prefix_ + std::string(name), .cols = cols, .fill = fill, .scale = scale});
  }

  void norm(std::string_view name, int64_t cols) {
    vector(fmt::format("{}.weight", name), cols, Fill::norm, 1);
  }

  // The last matrix adds to the residual, whose channel 0 must keep its value.
  void to_residual() {
    if (skewed()) tensors_.back().zero_rows = 1;
  }

  const ModelShape& shape_;
  const WeightOptions& options_;
  const ArchTraits& arch_;
  const Quant quant_;
  std::string prefix_;
  float echo_ = 1;  // of the layer
  std::vector<TensorSpec> tensors_;
};

}  // namespace

bool parse_type(std::string_view name, ggml_type* type) {
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const ggml_type candidate = static_cast<ggml_type>(i);
    if (ggml_blck_size(candidate) == 0) continue;  // a type that ggml has retired
    if (lower(ggml_type_name(candidate)) == lower(name)) return *type = candidate, true;
  }
  return false;
}

Result<std::vector<TensorSpec>> list_tensors(const ModelShape& shape,
                                             const WeightOptions& options) {
  Quant quant;
  if (!parse_quant(options.quant, &quant)) {
    return Status(StatusCode::invalid_argument, fmt::format("unknown quant '{}'", options.quant))
        .suggest("q4_k_m, q5_k_m, q4_k, q6_k, q8_0, iq4_xs, mxfp4, f16");
  }
  return TensorList(shape, options, quant).build();
}

}  // namespace hypura
