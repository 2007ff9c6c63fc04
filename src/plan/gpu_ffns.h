#pragma once

#include <cstdint>
#include <map>
#include <set>

namespace hypura {

// Of a layer's FFN matrices and experts.
struct FfnBytes {
  uint64_t all = 0;
  uint64_t end = 0;  // of those that it computes with last
};

// Layers, by number, of which a GPU has all of that, or the end of it.
struct FfnChoice {
  std::set<int> whole;
  std::set<int> ends;
};

// Of `layers` the last ones as a whole, as far as `bytes` hold them: what streams below then has no
// gaps, and the experts of the next layer can be guessed. Of the others the ends that leave the
// least of the rest, unless there are more ways than a plan has time for, and of those that are as
// large as each other, the last layers'. Pure.
FfnChoice choose_ffns(const std::map<int, FfnBytes>& layers, uint64_t bytes);

}  // namespace hypura
