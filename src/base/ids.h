#pragma once

#include <compare>
#include <cstdint>

namespace hypura {

// Index of a tensor in the model index, over all shards.
struct TensorId {
  uint32_t value = 0;
  auto operator<=>(const TensorId&) const = default;
};

// A file opened on a block device.
struct FileId {
  uint32_t value = 0;
  auto operator<=>(const FileId&) const = default;
};

// Key of a cached slice inside one slot table: what it means is the table owner's business.
struct SliceId {
  uint32_t value = 0;
  auto operator<=>(const SliceId&) const = default;
};

// Index of a slot inside one slot table.
struct SlotId {
  uint32_t value = 0;
  auto operator<=>(const SlotId&) const = default;
};

}  // namespace hypura
