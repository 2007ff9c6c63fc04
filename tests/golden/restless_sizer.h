#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "backend/cache_sizer.h"

namespace hypura::golden {

// Changes its mind at every third product or so, to any size from the least to the most, or a
// little more or less than what is there.
class RestlessSizer final : public CacheSizer {
 public:
  explicit RestlessSizer(uint32_t seed) : generator_(seed) {}

  bool due() override { return generator_() % 3 == 0; }
  std::optional<uint64_t> decide(const CacheBytes& cache) override {
    switch (generator_() % 4) {
      case 0:
        return 0;
      case 1:
        return cache.now + cache.step;
      case 2:
        return cache.now - 1;
      default:
        return cache.least + generator_() % (cache.most - cache.least + 1);
    }
  }
  void on_changed(const CacheBytes& cache, uint64_t) override {
    shrinks_ += cache.now < last_;
    grows_ += cache.now > last_;
    last_ = cache.now;
  }
  bool was_restless() const { return shrinks_ > 30 && grows_ > 30; }

 private:
  std::mt19937 generator_;
  uint64_t last_ = UINT64_MAX;
  uint64_t shrinks_ = 0;
  uint64_t grows_ = 0;
};

}  // namespace hypura::golden
