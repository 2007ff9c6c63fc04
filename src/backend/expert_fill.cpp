#include "backend/expert_fill.h"

#include <algorithm>

#include "backend/weight.h"

namespace hypura {
namespace {

// Guesses are started while fewer reads are outstanding, and are under way in vain when the routing
// is known.
constexpr size_t kGuessesMax = 16;

}  // namespace

void ExpertFill::begin(const ggml_cgraph* graph) {
  graph_ = graph;
  clear();
  guess_next_layer(0);
}

void ExpertFill::clear() {
  wanted_.clear();
  next_ = 0;
  known_ = 0;
}

void ExpertFill::on_routing(int node, std::span<const int32_t> experts) {
  clear();
  const ggml_tensor* ids = graph_->nodes[node]->src[2];
  if (ids->ne[1] == 1) return;
  int k = node + 1;
  for (; k < graph_->n_nodes; ++k) {
    const ggml_tensor* other = graph_->nodes[k];
    if (other->op != GGML_OP_MUL_MAT_ID) continue;
    if (other->src[2] != ids) break;
    const PooledTensor pooled = pooled_weight(other);
    if (pooled.pool == nullptr) continue;
    const auto first = static_cast<std::ptrdiff_t>(wanted_.size());
    for (const int32_t expert : experts) {
      wanted_.push_back({pooled.pool, pooled.source, static_cast<uint32_t>(expert)});
    }
    // In the order of the file, as they are read later.
    std::sort(wanted_.begin() + first, wanted_.end(),
              [](const Wanted& a, const Wanted& b) { return a.expert < b.expert; });
  }
  known_ = wanted_.size();
  guess_next_layer(k);
}

void ExpertFill::read_ahead() {
  Reader& reader = residency_.reader();
  for (; next_ < wanted_.size(); ++next_) {
    const Wanted& wanted = wanted_[next_];
    if (!wanted.pool->has_empty_slot()) continue;
    if (wanted.pool->holds(wanted.source, wanted.expert)) continue;
    if (!wanted.pool->takes_load()) break;
    if (next_ >= known_ && reader.outstanding() >= kGuessesMax) break;
    wanted.pool->request(wanted.source, wanted.expert, ReadClass::prefetch);
  }
  reader.pump();
}

PooledTensor ExpertFill::pooled_weight(const ggml_tensor* node) const {
  const Weight* weight = weight_of(node->src[0]);
  if (weight == nullptr || residency_.home(weight->id) != Home::experts) return {};
  return residency_.experts(weight->id);
}

// Experts of the layer at or behind `node`, before its routing is known: all of them, if the batch
// will use most. Of n experts with k a token, t tokens miss one with probability (1 - k/n)^t, below
// 0.37 from t * k = n on.
void ExpertFill::guess_next_layer(int node) {
  if (!guess_) return;
  const ggml_tensor* ids = nullptr;
  for (int k = node; k < graph_->n_nodes; ++k) {
    const ggml_tensor* other = graph_->nodes[k];
    if (other->op != GGML_OP_MUL_MAT_ID) continue;
    if (ids != nullptr && other->src[2] != ids) return;
    ids = other->src[2];
    const PooledTensor pooled = pooled_weight(other);
    const int64_t experts = other->src[0]->ne[2];
    if (pooled.pool == nullptr || ids->ne[1] == 1 || ids->ne[0] * ids->ne[1] < experts) return;
    for (uint32_t expert = 0; expert < static_cast<uint32_t>(experts); ++expert) {
      wanted_.push_back({pooled.pool, pooled.source, expert});
    }
  }
}

}  // namespace hypura
