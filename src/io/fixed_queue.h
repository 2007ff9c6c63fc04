#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.h"

namespace hypura {

// First in, first out, in memory taken once. A full queue is the caller's bug.
template <class T>
class FixedQueue {
 public:
  explicit FixedQueue(size_t capacity) : items_(capacity) {}

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // REQUIRES: size() < capacity.
  void push(T item) {
    HYPURA_CHECK(size_ < items_.size());
    items_[(first_ + size_++) % items_.size()] = std::move(item);
  }

  // REQUIRES: !empty().
  T pop() {
    HYPURA_CHECK(size_ > 0);
    T item = std::move(items_[first_]);
    first_ = (first_ + 1) % items_.size();
    --size_;
    return item;
  }

 private:
  std::vector<T> items_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace hypura
