#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "cache/eviction_policy.h"

namespace hypura {

// free -> loading -> ready, loading -> failed. A failed slot is as good as a free one. A ready slot
// with pins is not evicted; a loading slot never is. The capacity may shrink and grow: slots at or
// above it are used up (their pins and loads end) and not given out again.
enum class SlotState : uint8_t { free, loading, ready, failed };

// Which slice is in which slot, and who may go. Holds no memory and does no I/O. Invariants: a key
// is in at most one slot; slot_of_[key] and slots_[slot].key agree; the policy ranks exactly the
// loading and ready slots; at or above the capacity, no slot is ready without pins.
class SlotTable {
 public:
  // Keys are 0 .. key_count - 1. REQUIRES: slot_count > 0.
  SlotTable(uint32_t key_count, uint32_t slot_count, std::unique_ptr<EvictionPolicy> policy);

  uint32_t slot_count() const { return static_cast<uint32_t>(slots_.size()); }
  // Slots that loads may take: all at first, then the first so many.
  uint32_t capacity() const { return capacity_; }
  // Evicts what lies above at once, but for loading and pinned slots, which follow when they may.
  // REQUIRES: 0 < capacity <= slot_count().
  void set_capacity(uint32_t capacity);
  // The first so many slots have all that is held: the capacity, or more while slots above it end.
  uint32_t slots_held() const;
  // The slot that holds `key` or is loading it. REQUIRES: key < key_count.
  std::optional<SlotId> find(SliceId key) const;
  // A load would evict nothing.
  bool has_empty_slot() const { return !empty_.empty(); }
  SlotState state(SlotId slot) const { return slots_[slot.value].state; }
  SliceId key(SlotId slot) const { return slots_[slot.value].key; }

  // Gives `key` a slot and marks it loading: an empty one, else the policy's best victim that is
  // ready and not pinned. nullopt if there is none. REQUIRES: !find(key).
  std::optional<SlotId> begin_load(SliceId key);
  // The bytes of a loading slot arrived, or never will. REQUIRES: loading.
  void finish_load(SlotId slot, bool ok);

  // Tells the policy of a use, whether the key has a slot or not.
  void use(SliceId key) { policy_->on_use(key, find(key)); }

  // REQUIRES: loading or ready for pin; pinned for unpin.
  void pin(SlotId slot);
  void unpin(SlotId slot);
  uint32_t pins(SlotId slot) const { return slots_[slot.value].pins; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    SliceId key;
    uint32_t pins = 0;
    SlotState state = SlotState::free;
  };

  std::optional<SlotId> take_slot();
  void evict(uint32_t slot);
  // The slot lost its last pin or ended its load: at or above the capacity it goes.
  void settle(uint32_t slot);

  std::vector<Slot> slots_;
  std::vector<uint32_t> slot_of_;  // by key
  std::vector<uint32_t> empty_;    // free and failed slots below the capacity
  uint32_t capacity_;
  std::unique_ptr<EvictionPolicy> policy_;
};

// A pin on one slot. Its destructor is the only release. Movable; must not outlive the table.
class Lease {
 public:
  Lease() = default;
  Lease(SlotTable& table, SlotId slot) : table_(&table), slot_(slot) { table.pin(slot); }
  Lease(Lease&& other) noexcept : table_(other.table_), slot_(other.slot_) {
    other.table_ = nullptr;
  }
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      release();
      table_ = other.table_;
      slot_ = other.slot_;
      other.table_ = nullptr;
    }
    return *this;
  }
  ~Lease() { release(); }

  SlotId slot() const { return slot_; }

 private:
  void release() {
    if (table_ != nullptr) table_->unpin(slot_);
    table_ = nullptr;
  }

  SlotTable* table_ = nullptr;
  SlotId slot_;
};

}  // namespace hypura
