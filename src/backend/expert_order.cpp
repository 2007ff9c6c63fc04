#include "backend/expert_order.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hypura {

ExpertOrder::ExpertOrder(const ModelIndex& index, std::vector<TensorId> streamed)
    : index_(index), streamed_(std::move(streamed)) {
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.expert_count > 0) layers_.insert(tensor.layer);
  }
}

std::span<const TensorId> ExpertOrder::behind(TensorId tensor) const {
  const auto here = std::find(streamed_.begin(), streamed_.end(), tensor);
  HYPURA_CHECK(here != streamed_.end());
  const auto is_of = [this](int number) {
    return [this, number](TensorId id) { return layer(id) == number; };
  };
  const auto next = std::find_if_not(here, streamed_.end(), is_of(layer(tensor)));
  if (next == streamed_.end()) return {};
  return {next, std::find_if_not(next, streamed_.end(), is_of(layer(*next)))};
}

std::span<const TensorId> ExpertOrder::next_to(TensorId tensor) const {
  const std::span<const TensorId> tensors = behind(tensor);
  const auto next = layers_.upper_bound(layer(tensor));
  const bool adjacent =
      !tensors.empty() && next != layers_.end() && *next == layer(tensors.front());
  return adjacent ? tensors : std::span<const TensorId>();
}

}  // namespace hypura
