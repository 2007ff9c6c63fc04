#include "io/key_table.h"

#include <bit>

#include "base/check.h"

namespace hypura {

KeyTable::KeyTable(uint32_t entries_max)
    : entries_max_(entries_max), cells_(std::bit_ceil(size_t{entries_max} * 2 + 1)) {}

std::optional<uint32_t> KeyTable::find(uint64_t key) const {
  const Cell& cell = cells_[locate(key)];
  if (cell.index == kFree) return std::nullopt;
  return cell.index;
}

void KeyTable::insert(uint64_t key, uint32_t index) {
  HYPURA_CHECK(index != kFree);
  HYPURA_CHECK(size_ < entries_max_);
  Cell& cell = cells_[locate(key)];
  HYPURA_CHECK(cell.index == kFree);
  cell = {.key = key, .index = index};
  ++size_;
}

void KeyTable::erase(uint64_t key) {
  size_t hole = locate(key);
  HYPURA_CHECK(cells_[hole].index != kFree);
  // An entry may move back into the hole unless its home lies behind the hole.
  for (size_t cell = after(hole); cells_[cell].index != kFree; cell = after(cell)) {
    const size_t mask = cells_.size() - 1;
    const size_t from_home = (cell - home(cells_[cell].key)) & mask;
    const size_t from_hole = (cell - hole) & mask;
    if (from_home < from_hole) continue;
    cells_[hole] = cells_[cell];
    hole = cell;
  }
  cells_[hole] = {};
  --size_;
}

// Fibonacci hashing: keys are often small and dense.
size_t KeyTable::home(uint64_t key) const {
  const int bits = std::countr_zero(cells_.size());
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> (64 - bits));
}

size_t KeyTable::locate(uint64_t key) const {
  size_t cell = home(key);
  while (cells_[cell].index != kFree && cells_[cell].key != key) cell = after(cell);
  return cell;
}

}  // namespace hypura
