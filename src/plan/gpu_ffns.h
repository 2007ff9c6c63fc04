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

// Of `layers`, as many whole ones as `bytes` hold, as each that lies below costs a token a wait;
// and of the ways to have so many, and ends of others, one that leaves little: the least, unless
// there are more ways than a plan has time for. Of layers that take as much as each other, the last
// ones. Pure.
FfnChoice choose_ffns(const std::map<int, FfnBytes>& layers, uint64_t bytes);

}  // namespace hypura
