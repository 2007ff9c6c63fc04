#pragma once

#include <cstddef>

#include "base/ids.h"

struct ggml_cgraph;
struct ggml_tensor;

namespace hypura {

class StreamedModel;

// What ggml_tensor::extra points to for every weight in a mapped buffer of ours.
struct Weight {
  StreamedModel* model = nullptr;
  TensorId id;
  std::byte* reserved = nullptr;  // its address while it is not resident: no memory behind it
};

// The weight a source of a node is, or is a view of; nullptr for anything else.
Weight* weight_of(const ggml_tensor* source);
// The streamed model whose weights a graph uses, or nullptr.
StreamedModel* model_of(const ggml_cgraph* graph);

}  // namespace hypura
