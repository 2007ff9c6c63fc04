#include "backend/expert_fill.h"

#include <algorithm>
#include <utility>

#include "backend/weight.h"

namespace hypura {
namespace {

// Guesses are started while fewer reads are outstanding, and are under way in vain when the routing
// is known.
constexpr size_t kGuessesMax = 16;

}  // namespace

void ExpertFill::on_routing(const ggml_cgraph* graph, int node, std::span<const int32_t> experts) {
  const ggml_tensor* ids = graph->nodes[node]->src[2];
  if (ids->ne[1] == 1) return forget();
  wanted_.clear();
  next_ = 0;
  TensorId last = weight_of(graph->nodes[node]->src[0])->id;
  const uint32_t layer = residency_.layer(last);
  std::erase_if(kept_, [&](const Kept& kept) { return residency_.layer(kept.tensor) != layer; });
  for (int k = node + 1; k < graph->n_nodes; ++k) {
    const ggml_tensor* other = graph->nodes[k];
    if (other->op != GGML_OP_MUL_MAT_ID) continue;
    if (other->src[2] != ids) break;
    const Weight* weight = weight_of(other->src[0]);
    if (weight == nullptr || residency_.home(weight->id) != Home::experts) continue;
    last = weight->id;
    const auto first = static_cast<std::ptrdiff_t>(wanted_.size());
    for (const int32_t expert : experts) wanted_.push_back({last, static_cast<uint32_t>(expert)});
    // In the order of the file, as they are read later.
    std::sort(wanted_.begin() + first, wanted_.end(),
              [](const Wanted& a, const Wanted& b) { return a.expert < b.expert; });
  }
  known_ = wanted_.size();
  guess_next_layer(last, ids);
}

void ExpertFill::read_ahead() {
  Reader& reader = residency_.reader();
  for (; next_ < wanted_.size(); ++next_) {
    const Wanted& wanted = wanted_[next_];
    const PooledTensor pooled = residency_.experts(wanted.tensor);
    if (pooled.pool->holds(pooled.source, wanted.expert)) continue;
    const bool empty = pooled.pool->has_empty_slot();
    const PooledTensor target = empty ? pooled : residency_.transit(wanted.tensor);
    if (target.pool == nullptr) continue;
    if (!target.pool->takes_load()) break;
    if (next_ >= known_ && reader.outstanding() >= kGuessesMax) break;
    std::optional<Lease> lease =
        target.pool->request(target.source, wanted.expert, ReadClass::prefetch);
    if (!lease) break;
    if (!empty) kept_.push_back({wanted.tensor, *std::move(lease)});
  }
  reader.pump();
}

void ExpertFill::hand_over(TensorId tensor) {
  std::erase_if(kept_, [&](const Kept& kept) { return kept.tensor == tensor; });
  for (size_t k = next_; k < wanted_.size(); ++k) {
    if (wanted_[k].tensor == tensor) next_ = k + 1;
  }
}

void ExpertFill::forget() {
  wanted_.clear();
  next_ = known_ = 0;
  kept_.clear();
}

// Experts of the layer behind the one that ends with `last`, before its routing is known: all of
// them, if the batch will use most. Of n experts with k a token, t tokens miss one with probability
// (1 - k/n)^t, below 0.14 from t * k = 2 n on.
void ExpertFill::guess_next_layer(TensorId last, const ggml_tensor* ids) {
  if (!guess_) return;
  for (const TensorId next : order_.behind(last)) {
    const uint32_t experts = residency_.expert_count(next);
    if (ids->ne[0] * ids->ne[1] < 2 * experts) return;
    for (uint32_t expert = 0; expert < experts; ++expert) wanted_.push_back({next, expert});
  }
}

}  // namespace hypura
