#include <cmath>
#include <vector>

#include "base/check.h"
#include "cache/eviction_policy.h"
#include "cache/score_ranking.h"

namespace hypura {
namespace {

// Counts of uses that halve every half-life. Instead of all counts shrinking, what a use adds
// grows; so they keep their order and ratios between uses, and a rate is a count's share of the
// sum.
class DecayingCounts {
 public:
  DecayingCounts(uint32_t key_count, double half_life_uses)
      : counts_(key_count), growth_(std::exp2(1 / half_life_uses)) {}

  double rate(SliceId key) const { return sum_ > 0 ? counts_[key.value] / sum_ : 0; }
  // The rate as foretold before `key` is used: as if one use more had been spread over all keys, so
  // that nothing is impossible.
  double foretold(SliceId key) const {
    return (counts_[key.value] + use_ / static_cast<double>(counts_.size())) / (sum_ + use_);
  }

  void use(SliceId key) {
    use_ *= growth_;
    counts_[key.value] += static_cast<float>(use_);
    sum_ += use_;
    if (use_ > kUseMax) shrink();
  }

 private:
  // Far below what a float holds. A count that shrinks to nothing is 100 half-lives old.
  static constexpr double kUseMax = 0x1p100;

  void shrink() {
    sum_ = 0;
    for (float& count : counts_) {
      count /= static_cast<float>(use_);
      sum_ += count;
    }
    use_ = 1;
  }

  std::vector<float> counts_;  // by key
  double growth_;
  double use_ = 1;  // what the latest use added
  double sum_ = 0;
};

class UseRatePolicy final : public EvictionPolicy {
 public:
  UseRatePolicy(uint32_t key_count, uint32_t slot_count, const UseRateOptions& options)
      : quick_(key_count, options.half_life_uses[0]),
        slow_(key_count, options.half_life_uses[1]),
        unlearning_(options.unlearning),
        evicts_(slot_count < key_count),
        keys_(slot_count),
        ranking_(slot_count) {}

  const char* name() const override { return "use-rate"; }

  void on_use(SliceId key, std::optional<SlotId>) override {
    if (!evicts_) return;
    const double quick = quick_share_ * quick_.foretold(key);
    const double slow = (1 - quick_share_) * slow_.foretold(key);
    quick_share_ = (1 - unlearning_) * quick / (quick + slow) + unlearning_ / 2;
    quick_.use(key);
    slow_.use(key);
    ranked_ = false;
  }

  void on_insert(SlotId slot, SliceId key) override {
    HYPURA_CHECK(!ranking_.ranked(slot));
    keys_[slot.value] = key;
    ranking_.set(slot, rate(key));
  }

  void on_remove(SlotId slot) override {
    evicts_ = true;  // a table of all keys lost slots
    ranking_.remove(slot);
  }

  std::optional<SlotId> first_victim() const override {
    if (!ranked_) rank();
    return ranking_.first();
  }
  std::optional<SlotId> next_victim(SlotId after) const override { return ranking_.next(after); }

 private:
  double rate(SliceId key) const {
    return quick_share_ * quick_.rate(key) + (1 - quick_share_) * slow_.rate(key);
  }

  void rank() const {
    for (uint32_t slot = 0; slot < keys_.size(); ++slot) {
      if (ranking_.ranked({slot})) ranking_.set({slot}, rate(keys_[slot]));
    }
    ranked_ = true;
  }

  DecayingCounts quick_;
  DecayingCounts slow_;
  double quick_share_ = 0.5;  // of the mixture
  double unlearning_;
  bool evicts_;                // slots for all keys: nothing to learn for until one goes
  std::vector<SliceId> keys_;  // by slot
  // Scores are of the latest use only where ranked_.
  mutable ScoreRanking<double> ranking_;
  mutable bool ranked_ = false;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_use_rate_policy(uint32_t key_count, uint32_t slot_count,
                                                     const UseRateOptions& options) {
  return std::make_unique<UseRatePolicy>(key_count, slot_count, options);
}

}  // namespace hypura
