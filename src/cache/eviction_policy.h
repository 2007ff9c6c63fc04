#pragma once

#include <array>
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

  // One use of `key`, which is in `slot`, or in none. Told when it becomes known, before the key is
  // inserted.
  virtual void on_use(SliceId key, std::optional<SlotId> slot) = 0;
  // `slot` now holds `key`. REQUIRES: the slot is not ranked yet.
  virtual void on_insert(SlotId slot, SliceId key) = 0;
  // The slot is empty. REQUIRES: ranked.
  virtual void on_remove(SlotId slot) = 0;

  // The ranking, best victim first. INVALIDATED BY: any on_* call.
  virtual std::optional<SlotId> first_victim() const = 0;
  virtual std::optional<SlotId> next_victim(SlotId after) const = 0;
};

// Least recently used or inserted.
std::unique_ptr<EvictionPolicy> make_lru_policy(uint32_t slot_count);

// How the use-rate policy forgets and learns. The half-lives are 16 and 256 tokens that route to 4
// experts; docs/experiments.md has what others gave.
struct UseRateOptions {
  std::array<double, 2> half_life_uses = {64, 1024};
  double unlearning = 0.002;  // share of the estimators' weights made equal again, a use
};

// Lowest estimated rate of use. Each key's uses are counted by two estimators, one that forgets
// quickly and one slowly, also while the key is in no slot. They are mixed by how well each
// foretold the uses so far, so that the table finds out by itself whether its uses go by recency or
// by frequency. Costs memory by the key (8 bytes) and time by the slot: for tables of hundreds.
std::unique_ptr<EvictionPolicy> make_use_rate_policy(uint32_t key_count, uint32_t slot_count,
                                                     const UseRateOptions& options = {});

}  // namespace hypura
