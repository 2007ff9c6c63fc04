#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ggml.h"

namespace hypura {

// A router's choice for a token, from the ids of a MUL_MAT_ID, which may be strided.
inline int32_t id_at(const ggml_tensor* ids, int64_t choice, int64_t token) {
  int32_t id = 0;
  std::memcpy(&id,
              static_cast<const std::byte*>(ids->data) + static_cast<size_t>(choice) * ids->nb[0] +
                  static_cast<size_t>(token) * ids->nb[1],
              sizeof id);
  return id;
}

}  // namespace hypura
