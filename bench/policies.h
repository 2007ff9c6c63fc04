#pragma once

#include <cstdint>
#include <memory>

#include "cache/eviction_policy.h"
#include "replay.h"

namespace hypura {

// Policies that are compared with the shipped ones, and not shipped.

// Least frequently used, over all that was seen of a key, also while it had no slot; ties go to the
// least recently used. With a cache for each layer this is the field's layer-LFU. With a half-life
// old uses count less: LRFU, LFU with aging.
inline constexpr double kNoHalfLife = 1e18;
std::unique_ptr<EvictionPolicy> make_frequency_policy(uint32_t key_count, uint32_t slot_count,
                                                      double half_life_uses);

// Least frequently used of those that are there: a count ends with its slot. Ties as above.
std::unique_ptr<EvictionPolicy> make_resident_frequency_policy(uint32_t key_count,
                                                               uint32_t slot_count);

// Segmented LRU: what is used again is protected, up to a share of the slots; the least recently
// used of these goes back among the others.
std::unique_ptr<EvictionPolicy> make_slru_policy(uint32_t slot_count, double protected_share);

// 2Q in its full version: what is new goes through a queue; what left that queue and is used again
// while its key is remembered counts as frequent and is kept by recency.
std::unique_ptr<EvictionPolicy> make_two_queues_policy(uint32_t key_count, uint32_t slot_count);

// Knows how often each key is used in the whole trace, and keeps the most frequent: the best that a
// fixed ranking can do.
std::unique_ptr<EvictionPolicy> make_hindsight_policy(const PoolTrace& trace, uint32_t slot_count);

// Knows the future: what is needed again last goes first. No policy has more hits under the same
// rules.
std::unique_ptr<EvictionPolicy> make_belady_policy(const PoolTrace& trace, uint32_t slot_count);

}  // namespace hypura
