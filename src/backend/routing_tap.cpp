#include "backend/routing_tap.h"

#include "backend/routing_ids.h"

namespace hypura {

Status RoutingTap::record(const ggml_tensor* node, const ggml_tensor* ids, uint32_t layer) {
  recorded_ = node->src[2];
  experts_.clear();
  for (int64_t token = 0; token < ids->ne[1]; ++token) {
    for (int64_t choice = 0; choice < ids->ne[0]; ++choice) {
      experts_.push_back(id_at(ids, choice, token));
    }
  }
  return recorder_->on_routing(
      {.layer = layer, .choices = static_cast<uint32_t>(ids->ne[0]), .experts = experts_});
}

}  // namespace hypura
