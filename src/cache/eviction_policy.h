#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/ids.h"

namespace hypura {

// Ranks the slots of one table by how little they would be missed. It sees uses, never pins or
// states, and frees nothing: the table skips what it may not evict. So a policy can be replayed
// from a trace alone.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  virtual const char* name() const = 0;

  // `slot` now holds `key`. REQUIRES: the slot is not ranked yet.
  virtual void on_insert(SlotId slot, SliceId key) = 0;
  // One use of what `slot` holds. REQUIRES: ranked.
  virtual void on_use(SlotId slot) = 0;
  // The slot is empty. REQUIRES: ranked.
  virtual void on_remove(SlotId slot) = 0;

  // The ranking, best victim first. INVALIDATED BY: any on_* call.
  virtual std::optional<SlotId> first_victim() const = 0;
  virtual std::optional<SlotId> next_victim(SlotId after) const = 0;
};

// Least recently used.
std::unique_ptr<EvictionPolicy> make_lru_policy(uint32_t slot_count);

}  // namespace hypura
