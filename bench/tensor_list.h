#pragma once

#include <ggml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model_shape.h"

namespace hypura {

// How a tensor's values are drawn.
enum class Fill {
  gaussian,  // mean 0, `scale`
  norm,      // near 1
  router,    // gaussian, and its channel 0 holds the experts' bias
};

// One tensor to write. `cols` is a row's length, ggml's ne[0].
struct TensorSpec {
  std::string name;
  ggml_type type = GGML_TYPE_F32;
  int64_t cols = 0;
  int64_t rows = 1;
  int64_t experts = 1;
  Fill fill = Fill::gaussian;
  float scale = 1;
  // Rows [0, zero_rows) of every expert are zero.
  int64_t zero_rows = 0;
  // Channel 0 of every row is 1 (the embedding, in a model with skewed routing).
  bool steady_channel = false;
  // By expert; router only. Empty: none.
  std::vector<float> bias = {};

  int dims() const { return experts > 1 ? 3 : rows > 1 ? 2 : 1; }
  uint64_t bytes() const {
    return ggml_row_size(type, cols) * static_cast<uint64_t>(rows) * static_cast<uint64_t>(experts);
  }
};

struct WeightOptions {
  // A ggml type ("q4_k", "mxfp4", "f16"), or llama.cpp's mixtures "q4_k_m" and "q5_k_m".
  std::string quant = "q4_k_m";
  // How often an expert of rank r is chosen: as r^-zipf. 0 is uniform.
  double zipf = 0;
  uint32_t silent_tokens = 0;  // the first so many tokens get logit 0, so that they are not said
  uint64_t seed = 1;
  // Layers from this one on add little to the residual: the first ones alone, with the output
  // behind them, then say mostly the same. 0: every layer adds its share.
  uint32_t echo_from = 0;
  // Only so many layers are written, with the weights that they have in the whole model: a draft
  // for it. 0: all.
  uint32_t layers_kept = 0;

  uint32_t layers_of(const ModelShape& shape) const {
    return layers_kept == 0 ? shape.layers : layers_kept;
  }
};

// The tensors of `shape` in the order of the file. REQUIRES: !find_fault(shape).
Result<std::vector<TensorSpec>> list_tensors(const ModelShape& shape, const WeightOptions& options);

// The ggml type of that name in any case.
bool parse_type(std::string_view name, ggml_type* type);

}  // namespace hypura
