#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model_shape.h"
#include "tensor_list.h"

namespace hypura {

struct ModelFileOptions {
  std::string path;
  uint32_t shards = 1;  // more than one: PATH's stem with -00001-of-0000N.gguf, as llama.cpp splits
  bool sparse = false;  // weights are holes: for plans and estimates of shapes, in kilobytes
};

// Writes a model of that shape, tensor by tensor; it never holds more than a few MB of it. Returns
// the paths of the shards. REQUIRES: !find_fault(shape).
Result<std::vector<std::string>> write_model(const ModelShape& shape, const WeightOptions& weights,
                                             const ModelFileOptions& options);

// Vocabulary tokens that are not made-up words; models should not say them.
uint32_t silent_token_count();

}  // namespace hypura
