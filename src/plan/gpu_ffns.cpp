#include "plan/gpu_ffns.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace hypura {
namespace {

// Of ends that are as large as each other, few fit into what one more layer does not.
constexpr uint32_t kStepsMax = 10'000;

// Layers whose ends take as much as each other's, from the last one on.
struct Kind {
  uint64_t end = 0;
  std::vector<int> layers;
  uint32_t taken = 0;  // the first ones
};

// Tries how many of each kind leave the least of `bytes`, the most of the largest first.
class Search {
 public:
  Search(std::vector<Kind> kinds, uint64_t bytes)
      : now_(std::move(kinds)), best_(now_), least_left_(bytes) {
    std::stable_sort(now_.begin(), now_.end(),
                     [](const Kind& a, const Kind& b) { return a.end > b.end; });
    take(0, bytes);
  }

  const std::vector<Kind>& best() const { return best_; }

 private:
  // Of the kinds from `k` on.
  void take(size_t k, uint64_t left) {
    if (++steps_ > kStepsMax) return;
    if (k == now_.size()) {
      if (left >= least_left_) return;
      least_left_ = left;
      best_ = now_;
      return;
    }
    Kind& kind = now_[k];
    const uint64_t most = std::min<uint64_t>(kind.layers.size(), left / kind.end);
    for (uint64_t n = most + 1; n-- > 0;) {
      kind.taken = static_cast<uint32_t>(n);
      take(k + 1, left - n * kind.end);
    }
  }

  std::vector<Kind> now_;
  std::vector<Kind> best_;
  uint64_t least_left_;
  uint32_t steps_ = 0;
};

}  // namespace

FfnChoice choose_ffns(const std::map<int, FfnBytes>& layers, uint64_t bytes) {
  FfnChoice choice;
  auto layer = layers.rbegin();
  for (; layer != layers.rend() && layer->second.all <= bytes; ++layer) {
    bytes -= layer->second.all;
    choice.whole.insert(layer->first);
  }
  std::vector<Kind> kinds;
  for (; layer != layers.rend(); ++layer) {
    const uint64_t end = layer->second.end;
    if (end == 0) continue;
    auto kind = std::find_if(kinds.begin(), kinds.end(),
                             [end](const Kind& known) { return known.end == end; });
    if (kind == kinds.end()) kind = kinds.insert(kinds.end(), Kind{.end = end});
    kind->layers.push_back(layer->first);
  }
  const Search search(std::move(kinds), bytes);
  for (const Kind& kind : search.best()) {
    choice.ends.insert(kind.layers.begin(), kind.layers.begin() + kind.taken);
  }
  return choice;
}

}  // namespace hypura
