#pragma once

#include <string_view>

#include "model/model_index.h"

namespace hypura {

// What a conventional GGUF name ("blk.3.ffn_up_exps.weight") says about its tensor.
struct TensorName {
  TensorRole role = TensorRole::other;  // expert: still to be held against the shape
  int layer = -1;                       // -1 outside of blocks
  bool own_expert_count = false;        // _chexps: their number is not the model's expert_count
};

// Knows parts of names, not models; what it does not know is `other`.
TensorName parse_tensor_name(std::string_view name);

}  // namespace hypura
