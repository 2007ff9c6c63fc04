#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hypura {

// Maps keys to indices in memory taken once: open addressing with linear probing, at most half
// full, and erasure by shifting back, so that it never degrades.
class KeyTable {
 public:
  explicit KeyTable(uint32_t entries_max);

  std::optional<uint32_t> find(uint64_t key) const;
  // REQUIRES: the key is absent, and fewer than entries_max are present.
  void insert(uint64_t key, uint32_t index);
  // REQUIRES: the key is present.
  void erase(uint64_t key);
  size_t size() const { return size_; }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;
  struct Cell {
    uint64_t key = 0;
    uint32_t index = kFree;
  };

  size_t home(uint64_t key) const;
  size_t after(size_t cell) const { return (cell + 1) & (cells_.size() - 1); }
  // The key's cell, or the free cell where the search for it ends.
  size_t locate(uint64_t key) const;

  const uint32_t entries_max_;
  std::vector<Cell> cells_;  // a power of two
  size_t size_ = 0;
};

}  // namespace hypura
