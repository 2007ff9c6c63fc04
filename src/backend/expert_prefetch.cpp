#include "backend/expert_prefetch.h"

#include <algorithm>
#include <utility>

#include "backend/weight.h"

namespace hypura {
namespace {

// Guesses for one layer. A right one that comes late was only asked for early; a wrong one holds up
// those that are waited for. So the bound grows while all are right, and shrinks by each wrong one.
constexpr uint32_t kGuessesFirst = 3;
constexpr uint32_t kGuessesMax = 24;

// A predictor that is wrong too often loses slots that would have hit: it rests for a while.
constexpr uint64_t kJudgedGuesses = 256;
constexpr double kUsedMin = 0.25;
constexpr uint32_t kPauseLayers = 2000;

// In a pool with fewer slots for each expert of a token, a wrong guess evicts one of its own.
constexpr uint64_t kPoolShares = 2;

}  // namespace

ExpertPrefetch::ExpertPrefetch(Residency& residency, std::unique_ptr<ExpertPredictor> predictor)
    : residency_(residency),
      predictor_(std::move(predictor)),
      guesses_max_(kGuessesFirst) {}

void ExpertPrefetch::begin(const ggml_cgraph* graph) {
  graph_ = graph;
  experts_.clear();
  forget();
}

void ExpertPrefetch::forget() {
  proposed_.clear();
  issued_ = 0;
  kept_.clear();
}

void ExpertPrefetch::on_routing(int node, std::span<const int32_t> experts, int64_t tokens) {
  if (predictor_ == nullptr) return;
  const uint32_t layer = residency_.layer(weight_of(graph_->nodes[node]->src[0])->id);
  settle(experts);
  experts_.clear();
  if (tokens != 1) return;
  layer_ = layer;
  experts_.assign(experts.begin(), experts.end());
  if (const int next = next_routing(node); next >= 0 && paying()) {
    predictor_->predict({.graph = graph_,
                         .node = node,
                         .next_node = next,
                         .layer = layer,
                         .experts = experts_},
                        ranked_);
    propose(next);
  }
}

void ExpertPrefetch::read_ahead() {
  if (issued_ == proposed_.size()) return;
  Reader& reader = residency_.reader();
  const size_t end = std::min<size_t>(proposed_.size(), guesses_max_);
  reader.pump();
  for (; issued_ < end && reader.has_room(); ++issued_) {
    const Guess& guess = proposed_[issued_];
    std::optional<Lease> lease = guess.pool->request(
        guess.source, static_cast<uint32_t>(guess.expert), ReadClass::prefetch);
    if (!lease) break;
    kept_.push_back(*std::move(lease));
    reader.pump();
  }
}

// First node of the next layer whose experts lie in pools, or -1.
int ExpertPrefetch::next_routing(int node) const {
  const ggml_tensor* ids = graph_->nodes[node]->src[2];
  for (int k = node + 1; k < graph_->n_nodes; ++k) {
    const ggml_tensor* other = graph_->nodes[k];
    if (other->op != GGML_OP_MUL_MAT_ID || other->src[2] == ids) continue;
    const Weight* weight = weight_of(other->src[0]);
    return weight != nullptr && residency_.home(weight->id) == Home::experts ? k : -1;
  }
  return -1;
}

// What came of the guesses for this layer.
void ExpertPrefetch::settle(std::span<const int32_t> experts) {
  if (!experts_.empty()) predictor_->observe(layer_, experts_, experts);
  uint64_t used = 0;
  for (size_t i = 0; i < issued_; ++i) {
    if (std::find(experts.begin(), experts.end(), proposed_[i].expert) != experts.end()) ++used;
  }
  stats_.guesses += issued_;
  stats_.used += used;
  recent_guesses_ += issued_;
  recent_used_ += used;
  const uint32_t wrong = static_cast<uint32_t>(issued_ - used);
  if (wrong > 0) {
    guesses_max_ = std::max(guesses_max_, wrong + 1) - wrong;
  } else if (issued_ == guesses_max_) {
    guesses_max_ = std::min(guesses_max_ + 1, kGuessesMax);
  }
  forget();
}

void ExpertPrefetch::propose(int next_node) {
  const ggml_tensor* ids = graph_->nodes[next_node]->src[2];
  for (const int32_t expert : ranked_) {
    for (int k = next_node; k < graph_->n_nodes; ++k) {
      const ggml_tensor* node = graph_->nodes[k];
      if (node->op != GGML_OP_MUL_MAT_ID) continue;
      if (node->src[2] != ids) break;
      const Weight* weight = weight_of(node->src[0]);
      if (weight == nullptr || residency_.home(weight->id) != Home::experts) continue;
      const PooledTensor pooled = residency_.experts(weight->id);
      if (pooled.pool->slots() < kPoolShares * static_cast<uint64_t>(ids->ne[0])) continue;
      if (pooled.pool->is_ready(pooled.source, static_cast<uint32_t>(expert))) {
        kept_.push_back(*pooled.pool->request(pooled.source, static_cast<uint32_t>(expert),
                                              ReadClass::prefetch));
      } else {
        proposed_.push_back({.pool = pooled.pool, .source = pooled.source, .expert = expert});
      }
    }
  }
}

bool ExpertPrefetch::paying() {
  if (paused_ > 0) {
    --paused_;
    return false;
  }
  if (recent_guesses_ < kJudgedGuesses) return true;
  const bool pays = static_cast<double>(recent_used_) >=
                    kUsedMin * static_cast<double>(recent_guesses_);
  recent_guesses_ = recent_used_ = 0;
  if (!pays) paused_ = kPauseLayers;
  return pays;
}

}  // namespace hypura
