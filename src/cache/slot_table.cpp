#include "cache/slot_table.h"

#include <utility>

#include "base/check.h"

namespace hypura {

SlotTable::SlotTable(uint32_t key_count, uint32_t slot_count,
                     std::unique_ptr<EvictionPolicy> policy)
    : slots_(slot_count), slot_of_(key_count, kNone), policy_(std::move(policy)) {
  HYPURA_CHECK(slot_count > 0);
  empty_.reserve(slot_count);
  for (uint32_t slot = slot_count; slot > 0; --slot) empty_.push_back(slot - 1);
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
    return;
  }
  policy_->on_remove(slot);
  slot_of_[entry.key.value] = kNone;
  entry.state = SlotState::failed;
  if (entry.pins == 0) empty_.push_back(slot.value);
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
  if (entry.pins == 0 && entry.state == SlotState::failed) empty_.push_back(slot.value);
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
    policy_->on_remove(*slot);
    slot_of_[entry.key.value] = kNone;
    return slot;
  }
  return std::nullopt;
}

}  // namespace hypura
