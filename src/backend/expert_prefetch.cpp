#include "backend/expert_prefetch.h"

#include <algorithm>
#include <utility>

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

}  // namespace

ExpertPrefetch::ExpertPrefetch(Residency& residency, const ExpertOrder& order,
                               std::unique_ptr<ExpertPredictor> predictor)
    : residency_(residency),
      order_(order),
      predictor_(std::move(predictor)),
      guesses_max_(kGuessesFirst) {}

void ExpertPrefetch::forget() {
  experts_.clear();
  proposed_.clear();
  issued_ = 0;
  kept_.clear();
}

void ExpertPrefetch::on_routing(TensorId tensor, std::span<const int32_t> experts,
                                const ggml_tensor* input, int64_t tokens) {
  if (predictor_ == nullptr) return;
  const uint32_t layer = residency_.layer(tensor);
  // Another graph of the same layer: what is guessed for the next one stays so.
  if (!experts_.empty() && layer == layer_ && tensor != routed_ && tokens == 1) return;
  settle(layer, experts);
  const std::span<const TensorId> next = order_.next_to(tensor);
  if (tokens != 1 || next.empty()) return;
  routed_ = tensor;
  layer_ = layer;
  next_layer_ = residency_.layer(next.front());
  experts_.assign(experts.begin(), experts.end());
  if (!paying()) return;
  predictor_->predict({.layer = layer_,
                       .experts = experts_,
                       .input = input,
                       .next_layer = next_layer_,
                       .next_experts = residency_.expert_count(next.front())},
                      ranked_);
  propose(next);
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
    ++stats_.guesses;
    reader.pump();
  }
}

// What came of the guesses, if they were for this layer: the token may have been the last.
void ExpertPrefetch::settle(uint32_t layer, std::span<const int32_t> experts) {
  if (experts_.empty() || layer != next_layer_) return forget();
  predictor_->observe(layer_, experts_, experts);
  uint64_t used = 0;
  for (size_t i = 0; i < issued_; ++i) {
    if (std::find(experts.begin(), experts.end(), proposed_[i].expert) != experts.end()) ++used;
  }
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

// Experts mean the same in tensors that have as many: in other ones they are routed to otherwise.
void ExpertPrefetch::propose(std::span<const TensorId> tensors) {
  const uint32_t count = residency_.expert_count(tensors.front());
  for (const int32_t expert : ranked_) {
    if (static_cast<uint32_t>(expert) >= count) continue;
    for (const TensorId tensor : tensors) {
      if (residency_.expert_count(tensor) != count) continue;
      const PooledTensor pooled = residency_.experts(tensor);
      if (pooled.pool->slots() < kSlotsToGuess * experts_.size()) continue;
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
