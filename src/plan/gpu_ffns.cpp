#include "plan/gpu_ffns.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace hypura {
namespace {

// Models have two or three kinds of layers, and 40 layers 300 ways.
constexpr uint32_t kStepsMax = 10'000;

// Layers that take as much as each other, from the last one on.
struct Kind {
  FfnBytes each;
  std::vector<int> layers;
  uint32_t whole = 0;  // so many of them are taken,
  uint32_t ends = 0;   // and of the next ones the end
};

std::vector<Kind> kinds_of(const std::map<int, FfnBytes>& layers) {
  std::vector<Kind> kinds;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const FfnBytes& each = layer->second;
    if (each.all == 0) continue;
    auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& known) {
      return known.each.all == each.all && known.each.end == each.end;
    });
    if (kind == kinds.end()) kind = kinds.insert(kinds.end(), Kind{.each = each});
    kind->layers.push_back(layer->first);
  }
  // The smallest first: of them there is room for the most.
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const Kind& a, const Kind& b) { return a.each.all < b.each.all; });
  return kinds;
}

// How many of `count` things of `each` bytes there is room for.
uint32_t most(size_t count, uint64_t each, uint64_t left) {
  return each == 0 ? 0 : static_cast<uint32_t>(std::min<uint64_t>(count, left / each));
}

class Search {
 public:
  Search(std::vector<Kind> kinds, uint64_t bytes) : now_(kinds), best_(kinds), least_left_(bytes) {
    uint32_t count = 0;
    for (Kind& kind : best_) {
      kind.whole = most(kind.layers.size(), kind.each.all, least_left_);
      least_left_ -= kind.whole * kind.each.all;
      count += kind.whole;
    }
    take_whole(0, count, bytes);
  }

  const std::vector<Kind>& best() const { return best_; }

 private:
  // `count` more, of the kinds from `k` on.
  void take_whole(size_t k, uint32_t count, uint64_t left) {
    if (++steps_ > kStepsMax) return;
    if (k == now_.size()) {
      if (count == 0) take_ends(0, left);
      return;
    }
    Kind& kind = now_[k];
    const uint32_t room = most(kind.layers.size(), kind.each.all, left);
    for (uint32_t n = 0; n <= std::min(count, room); ++n) {
      kind.whole = n;
      take_whole(k + 1, count - n, left - n * kind.each.all);
    }
  }

  void take_ends(size_t k, uint64_t left) {
    if (++steps_ > kStepsMax) return;
    if (k == now_.size()) {
      if (left >= least_left_) return;
      least_left_ = left;
      best_ = now_;
      return;
    }
    Kind& kind = now_[k];
    const uint32_t room = most(kind.layers.size() - kind.whole, kind.each.end, left);
    for (uint32_t n = 0; n <= room; ++n) {
      kind.ends = n;
      take_ends(k + 1, left - n * kind.each.end);
    }
  }

  std::vector<Kind> now_;
  std::vector<Kind> best_;
  uint64_t least_left_;
  uint32_t steps_ = 0;
};

}  // namespace

FfnChoice choose_ffns(const std::map<int, FfnBytes>& layers, uint64_t bytes) {
  const Search search(kinds_of(layers), bytes);
  FfnChoice choice;
  for (const Kind& kind : search.best()) {
    const auto ends = kind.layers.begin() + kind.whole;
    choice.whole.insert(kind.layers.begin(), ends);
    choice.ends.insert(ends, ends + kind.ends);
  }
  return choice;
}

}  // namespace hypura
