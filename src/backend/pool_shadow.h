#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"
#include "residency/residency.h"

namespace hypura {

inline void set_contiguous(ggml_tensor* tensor, int64_t ne0, int64_t ne1, int64_t ne2) {
  tensor->ne[0] = ne0;
  tensor->ne[1] = ne1;
  tensor->ne[2] = ne2;
  tensor->ne[3] = 1;
  tensor->nb[0] = ggml_type_size(tensor->type);
  tensor->nb[1] = ggml_row_size(tensor->type, ne0);
  tensor->nb[2] = tensor->nb[1] * static_cast<size_t>(ne1);
  tensor->nb[3] = tensor->nb[2] * static_cast<size_t>(ne2);
}

// The pool, posing as the expert tensor that `shadow` is a copy of.
inline void point_to_pool(ggml_tensor* shadow, const PooledTensor& pooled) {
  shadow->data = pooled.pool->base(pooled.source);
  shadow->ne[2] = pooled.pool->slots_max();
  shadow->nb[2] = pooled.pool->stride();
  shadow->nb[3] = shadow->nb[2] * pooled.pool->slots_max();
}

}  // namespace hypura
