#include "backend/routing_tap.h"

#include <cstddef>
#include <cstring>

namespace hypura {

Status RoutingTap::record(const ggml_tensor* node, uint32_t layer) {
  const ggml_tensor* ids = node->src[2];
  recorded_ = ids;
  const size_t choices = static_cast<size_t>(ids->ne[0]);
  const size_t tokens = static_cast<size_t>(ids->ne[1]);
  experts_.resize(choices * tokens);
  for (size_t token = 0; token < tokens; ++token) {
    for (size_t choice = 0; choice < choices; ++choice) {
      std::memcpy(
          &experts_[token * choices + choice],
          static_cast<const std::byte*>(ids->data) + choice * ids->nb[0] + token * ids->nb[1],
          sizeof(int32_t));
    }
  }
  return recorder_->on_routing(
      {.layer = layer, .choices = static_cast<uint32_t>(choices), .experts = experts_});
}

}  // namespace hypura
