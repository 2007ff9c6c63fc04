#pragma once

#include <set>
#include <span>
#include <vector>

#include "model/model_index.h"

namespace hypura {

// What follows what of the tensors whose experts lie in pools. The index outlives it.
class ExpertOrder {
 public:
  // `streamed`: these, as graphs use them.
  ExpertOrder(const ModelIndex& index, std::vector<TensorId> streamed);

  // Those of the layer that streams behind the tensor's own, wherever its graph ends; none behind
  // the last. REQUIRES: the tensor is one of them.
  std::span<const TensorId> behind(TensorId tensor) const;
  // The same, but none if a layer between them has experts elsewhere.
  std::span<const TensorId> next_to(TensorId tensor) const;

 private:
  int layer(TensorId tensor) const { return index_.tensor(tensor).layer; }

  const ModelIndex& index_;
  std::vector<TensorId> streamed_;
  std::set<int> layers_;  // that have experts, wherever these are
};

}  // namespace hypura
