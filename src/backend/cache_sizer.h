#pragma once

#include <cstdint>
#include <optional>

#include "residency/residency.h"

namespace hypura {

// Says how much memory experts and dense weights that could stream have. Asked by the walk's
// thread, in the middle of graphs, where nothing is lost by a change: in front of matrix products.
class CacheSizer {
 public:
  virtual ~CacheSizer() = default;
  // Whether to ask now. Called hundreds of times a token: cheap.
  virtual bool due() = 0;
  // Bytes that caches should have; nullopt for no change.
  virtual std::optional<uint64_t> decide(const CacheBytes& cache) = 0;
  // What became of it, which may be less for whole slots and pages, and how long it took.
  virtual void on_changed(const CacheBytes& cache, uint64_t ns) = 0;
};

}  // namespace hypura
