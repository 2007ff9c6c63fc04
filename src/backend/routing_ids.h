#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/status.h"
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

// How far ahead the projections of the same experts are looked for; gate, up and down are at most
// a dozen nodes apart.
inline constexpr int kSiblingNodes = 64;

// Fails where a router computed what no expert is.
inline Status check_expert(int32_t expert, int64_t count) {
  if (expert >= 0 && expert < count) return Status();
  return Status(StatusCode::failed, fmt::format("the router chose expert {} of {}", expert, count))
      .because("the router's weights are damaged, or computed something that is no number");
}

}  // namespace hypura
