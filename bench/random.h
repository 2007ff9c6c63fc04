#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace hypura {

// SplitMix64. One seed is one sequence on every platform, which std:: distributions do not promise.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound). REQUIRES: 0 < bound.
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(((next() >> 32) * uint64_t{bound}) >> 32);
  }

  // Box-Muller; the second value is thrown away.
  float gaussian() {
    const double radius = std::sqrt(-2 * std::log(unit()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * unit()));
  }

 private:
  double unit() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

  uint64_t state_;
};

}  // namespace hypura
