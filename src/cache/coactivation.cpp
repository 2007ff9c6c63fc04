#include "cache/coactivation.h"

#include <algorithm>

#include "base/check.h"

namespace hypura {

Coactivation::Coactivation(uint32_t layers, uint32_t experts)
    : layers_(layers),
      experts_(experts),
      counts_(memory_bytes(layers, experts)),
      sums_(experts) {}

uint64_t Coactivation::memory_bytes(uint32_t layers, uint32_t experts) {
  return uint64_t{layers} * experts * experts;
}

void Coactivation::observe(uint32_t layer, std::span<const int32_t> from,
                           std::span<const int32_t> to) {
  for (const int32_t expert : from) {
    const std::span<uint8_t> followers = row(layer, expert);
    for (const int32_t follower : to) {
      uint8_t& count = followers[static_cast<size_t>(follower)];
      if (count == UINT8_MAX) {
        for (uint8_t& other : followers) other = static_cast<uint8_t>(other / 2);
      }
      ++count;
    }
  }
}

void Coactivation::rank(uint32_t layer, std::span<const int32_t> from, size_t count,
                        std::vector<int32_t>& ranked) {
  std::fill(sums_.begin(), sums_.end(), 0);
  for (const int32_t expert : from) {
    const std::span<const uint8_t> followers = row(layer, expert);
    for (size_t i = 0; i < followers.size(); ++i) sums_[i] += followers[i];
  }
  ranked.clear();
  for (uint32_t expert = 0; expert < experts_; ++expert) {
    if (sums_[expert] > 0) ranked.push_back(static_cast<int32_t>(expert));
  }
  const auto likelier = [&](int32_t a, int32_t b) {
    const uint32_t left = sums_[static_cast<size_t>(a)];
    const uint32_t right = sums_[static_cast<size_t>(b)];
    return left != right ? left > right : a < b;
  };
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<ptrdiff_t>(count), ranked.end(),
                    likelier);
  ranked.resize(count);
}

std::span<uint8_t> Coactivation::row(uint32_t layer, int32_t expert) {
  HYPURA_CHECK(layer < layers_);
  HYPURA_CHECK(static_cast<uint32_t>(expert) < experts_);
  const size_t first = (size_t{layer} * experts_ + static_cast<size_t>(expert)) * experts_;
  return std::span(counts_).subspan(first, experts_);
}

}  // namespace hypura
