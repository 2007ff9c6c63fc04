#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/ids.h"

namespace hypura {

// Slots by score, the lowest first, equal ones by number. Setting a score costs nothing, finding a
// slot a look at all of them: 0.1 us for a hundred, and only an eviction asks.
template <class Score>
class ScoreRanking {
 public:
  explicit ScoreRanking(uint32_t slot_count) : entries_(slot_count) {}

  bool ranked(SlotId slot) const { return entries_[slot.value].ranked; }
  // REQUIRES: the score equals itself (no NaN).
  void set(SlotId slot, Score score) { entries_[slot.value] = {.score = score, .ranked = true}; }
  void remove(SlotId slot) {
    HYPURA_CHECK(ranked(slot));
    entries_[slot.value].ranked = false;
  }

  std::optional<SlotId> first() const {
    return lowest([](const Entry&, uint32_t) { return true; });
  }
  // REQUIRES: ranked(after).
  std::optional<SlotId> next(SlotId after) const {
    const Score limit = entries_[after.value].score;
    return lowest([&](const Entry& entry, uint32_t slot) {
      return limit < entry.score || (!(entry.score < limit) && slot > after.value);
    });
  }

 private:
  struct Entry {
    Score score{};
    bool ranked = false;
  };

  template <class Filter>
  std::optional<SlotId> lowest(const Filter& filter) const {
    std::optional<SlotId> best;
    for (uint32_t slot = 0; slot < entries_.size(); ++slot) {
      const Entry& entry = entries_[slot];
      if (!entry.ranked || !filter(entry, slot)) continue;
      if (!best || entry.score < entries_[best->value].score) best = SlotId{slot};
    }
    return best;
  }

  std::vector<Entry> entries_;
};

}  // namespace hypura
