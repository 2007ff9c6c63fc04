#include "cache/slot_table.h"

#include <utility>

#include "base/check.h"

namespace hypura {

SlotTable::SlotTable(uint32_t key_count, uint32_t slot_count,
                     std::unique_ptr<EvictionPolicy> policy)
    : slots_(slot_count),
      slot_of_(key_count, kNone),
      capacity_(slot_count),
      policy_(std::move(policy)) {
  HYPURA_CHECK(slot_count > 0);
  empty_.reserve(slot_count);
  for (uint32_t slot = slot_count; slot > 0; --slot) empty_.push_back(slot - 1);
}

void SlotTable::set_capacity(uint32_t capacity) {
  HYPURA_CHECK(capacity > 0);
  HYPURA_CHECK(capacity <= slot_count());
  const uint32_t before = std::exchange(capacity_, capacity);
  std::erase_if(empty_, [&](uint32_t slot) { return slot >= capacity; });
  for (uint32_t slot = capacity; slot < before; ++slot) settle(slot);
  // The lowest is taken first.
  for (uint32_t slot = capacity; slot > before; --slot) {
    const Slot& entry = slots_[slot - 1];
    const bool unused = entry.state == SlotState::free || entry.state == SlotState::failed;
    if (unused && entry.pins == 0) empty_.push_back(slot - 1);
  }
}

uint32_t SlotTable::slots_held() const {
  for (uint32_t slot = slot_count(); slot > capacity_; --slot) {
    const Slot& entry = slots_[slot - 1];
    if (entry.state == SlotState::loading || entry.pins > 0) return slot;
  }
  return capacity_;
}

std::optional<SlotId> SlotTable::find(SliceId key) const {
  HYPURA_CHECK(key.value < slot_of_.size());
  const uint32_t slot = slot_of_[key.value];
  return slot == kNone ? std::nullopt : std::optional(SlotId{slot});
}

std::optional<SlotId> SlotTable::begin_load(SliceId key) {
  HYPURA_CHECK(!find(key));
  const std::optional<SlotId> slot = take_slot();
  if (!slot) return std::nullopt;
  slots_[slot->value] = {.key = key, .pins = 0, .state = SlotState::loading};
  slot_of_[key.value] = slot->value;
  policy_->on_insert(*slot, key);
  return slot;
}

void SlotTable::finish_load(SlotId slot, bool ok) {
  Slot& entry = slots_[slot.value];
  HYPURA_CHECK(entry.state == SlotState::loading);
  if (ok) {
    entry.state = SlotState::ready;
  } else {
    policy_->on_remove(slot);
    slot_of_[entry.key.value] = kNone;
    entry.state = SlotState::failed;
    if (entry.pins == 0 && slot.value < capacity_) empty_.push_back(slot.value);
  }
  settle(slot.value);
}

void SlotTable::pin(SlotId slot) {
  Slot& entry = slots_[slot.value];
  HYPURA_CHECK(entry.state == SlotState::loading || entry.state == SlotState::ready);
  ++entry.pins;
}

void SlotTable::unpin(SlotId slot) {
  Slot& entry = slots_[slot.value];
  HYPURA_CHECK(entry.pins > 0);
  --entry.pins;
  if (entry.pins > 0) return;
  if (entry.state == SlotState::failed && slot.value < capacity_) empty_.push_back(slot.value);
  settle(slot.value);
}

std::optional<SlotId> SlotTable::take_slot() {
  if (!empty_.empty()) {
    const SlotId slot{empty_.back()};
    empty_.pop_back();
    return slot;
  }
  for (auto slot = policy_->first_victim(); slot; slot = policy_->next_victim(*slot)) {
    const Slot& entry = slots_[slot->value];
    if (entry.state != SlotState::ready || entry.pins > 0) continue;
    evict(slot->value);
    return slot;
  }
  return std::nullopt;
}

void SlotTable::evict(uint32_t slot) {
  Slot& entry = slots_[slot];
  policy_->on_remove(SlotId{slot});
  slot_of_[entry.key.value] = kNone;
  entry.state = SlotState::free;
}

void SlotTable::settle(uint32_t slot) {
  if (slot < capacity_) return;
  const Slot& entry = slots_[slot];
  if (entry.state == SlotState::ready && entry.pins == 0) evict(slot);
}

}  // namespace hypura
