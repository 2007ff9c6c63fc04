#include "policies.h"

#include <cmath>
#include <deque>
#include <limits>
#include <utility>
#include <vector>

#include "cache/score_ranking.h"

namespace hypura {
namespace {

// What the policies here share: a score for each key, which its slot takes over.
template <class Score>
class ScoredPolicy : public EvictionPolicy {
 public:
  ScoredPolicy(uint32_t key_count, uint32_t slot_count)
      : scores_(key_count), keys_(slot_count), ranking_(slot_count) {}

  void on_insert(SlotId slot, SliceId key) override {
    keys_[slot.value] = key;
    ranking_.set(slot, scores_[key.value]);
  }
  void on_remove(SlotId slot) override { ranking_.remove(slot); }
  std::optional<SlotId> first_victim() const override { return ranking_.first(); }
  std::optional<SlotId> next_victim(SlotId after) const override { return ranking_.next(after); }

 protected:
  Score& score(SliceId key) { return scores_[key.value]; }
  SliceId key(SlotId slot) const { return keys_[slot.value]; }
  void set(SliceId key, std::optional<SlotId> slot, Score score) {
    scores_[key.value] = score;
    if (slot) ranking_.set(*slot, score);
  }

 private:
  std::vector<Score> scores_;  // by key
  std::vector<SliceId> keys_;  // by slot
  ScoreRanking<Score> ranking_;
};

using CountAndTime = std::pair<double, uint64_t>;

// Counts are kept as logarithms, and what a use adds grows with time.
class FrequencyPolicy final : public ScoredPolicy<CountAndTime> {
 public:
  FrequencyPolicy(uint32_t key_count, uint32_t slot_count, double half_life_uses)
      : ScoredPolicy(key_count, slot_count), half_life_uses_(half_life_uses) {}
  const char* name() const override { return "frequency"; }

  void on_use(SliceId key, std::optional<SlotId> slot) override {
    const double use = static_cast<double>(++time_) / half_life_uses_;
    const auto [before, last] = score(key);
    const double higher = std::max(before, use);
    const double lower = std::min(before, use);
    const double sum = last == 0 ? use : higher + std::log2(1 + std::exp2(lower - higher));
    set(key, slot, {sum, time_});
  }

 private:
  double half_life_uses_;
  uint64_t time_ = 0;
};

class ResidentFrequencyPolicy final : public ScoredPolicy<CountAndTime> {
 public:
  using ScoredPolicy::ScoredPolicy;
  const char* name() const override { return "resident-frequency"; }

  void on_use(SliceId key, std::optional<SlotId> slot) override {
    set(key, slot, {score(key).first + 1, ++time_});
  }
  void on_remove(SlotId slot) override {
    score(key(slot)).first = 0;
    ScoredPolicy::on_remove(slot);
  }

 private:
  uint64_t time_ = 0;
};

// Slots in two classes, each by recency: those of class 0 go first.
class TwoClassPolicy : public EvictionPolicy {
 public:
  explicit TwoClassPolicy(uint32_t slot_count)
      : slots_(slot_count), in_class_{0, 0}, ranking_(slot_count) {}

  void on_remove(SlotId slot) override {
    --in_class_[slots_[slot.value].first];
    ranking_.remove(slot);
  }
  std::optional<SlotId> first_victim() const override { return ranking_.first(); }
  std::optional<SlotId> next_victim(SlotId after) const override { return ranking_.next(after); }

 protected:
  using ClassAndTime = std::pair<uint32_t, uint64_t>;

  bool is_upper(SlotId slot) const { return slots_[slot.value].first == 1; }
  uint32_t upper_count() const { return in_class_[1]; }
  void put(SlotId slot, uint32_t its_class) {
    if (ranking_.ranked(slot)) --in_class_[slots_[slot.value].first];
    ++in_class_[its_class];
    slots_[slot.value] = {its_class, ++time_};
    ranking_.set(slot, slots_[slot.value]);
  }
  SlotId oldest_upper() const {
    SlotId slot = *ranking_.first();
    while (!is_upper(slot)) slot = *ranking_.next(slot);
    return slot;
  }

 private:
  std::vector<ClassAndTime> slots_;
  uint32_t in_class_[2];
  uint64_t time_ = 0;
  ScoreRanking<ClassAndTime> ranking_;
};

class SlruPolicy final : public TwoClassPolicy {
 public:
  SlruPolicy(uint32_t slot_count, double protected_share)
      : TwoClassPolicy(slot_count),
        protected_max_(static_cast<uint32_t>(protected_share * slot_count)) {}
  const char* name() const override { return "slru"; }

  void on_use(SliceId, std::optional<SlotId> slot) override {
    if (!slot) return;
    put(*slot, 1);
    if (upper_count() > protected_max_) put(oldest_upper(), 0);
  }
  void on_insert(SlotId slot, SliceId) override { put(slot, 0); }

 private:
  uint32_t protected_max_;
};

// The queue of new keys may hold a quarter of the slots, and as many keys as half of them are
// remembered, as its authors advise.
class TwoQueuesPolicy final : public EvictionPolicy {
 public:
  TwoQueuesPolicy(uint32_t key_count, uint32_t slot_count)
      : in_max_(std::max(1u, slot_count / 4)),
        out_max_(std::max(1u, slot_count / 2)),
        remembered_(key_count),
        slots_(slot_count) {}
  const char* name() const override { return "2q"; }

  void on_use(SliceId, std::optional<SlotId> slot) override {
    if (slot && slots_[slot->value].frequent) slots_[slot->value].time = ++time_;
  }
  void on_insert(SlotId slot, SliceId key) override {
    slots_[slot.value] = {
        .key = key, .time = ++time_, .frequent = remembered_[key.value], .ranked = true};
    if (!remembered_[key.value]) ++in_count_;
  }
  void on_remove(SlotId slot) override {
    Slot& entry = slots_[slot.value];
    entry.ranked = false;
    if (entry.frequent) return;
    --in_count_;
    if (!remembered_[entry.key.value]) out_.push_back(entry.key);
    remembered_[entry.key.value] = true;
    if (out_.size() <= out_max_) return;
    remembered_[out_.front().value] = false;
    out_.pop_front();
  }
  std::optional<SlotId> first_victim() const override { return lowest(std::nullopt); }
  std::optional<SlotId> next_victim(SlotId after) const override { return lowest(rank(after)); }

 private:
  struct Slot {
    SliceId key;
    uint64_t time = 0;
    bool frequent = false;
    bool ranked = false;
  };
  using Rank = std::pair<bool, uint64_t>;

  // The queue goes first while it is too long, the frequent ones otherwise.
  Rank rank(SlotId slot) const {
    const Slot& entry = slots_[slot.value];
    return {entry.frequent == (in_count_ > in_max_), entry.time};
  }
  std::optional<SlotId> lowest(std::optional<Rank> above) const {
    std::optional<SlotId> best;
    for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (!slots_[slot].ranked || (above && rank({slot}) <= *above)) continue;
      if (!best || rank({slot}) < rank(*best)) best = SlotId{slot};
    }
    return best;
  }

  uint32_t in_max_;
  size_t out_max_;
  std::vector<bool> remembered_;  // by key
  std::deque<SliceId> out_;
  std::vector<Slot> slots_;
  uint32_t in_count_ = 0;
  uint64_t time_ = 0;
};

class BeladyPolicy final : public ScoredPolicy<int64_t> {
 public:
  BeladyPolicy(const PoolTrace& trace, uint32_t slot_count)
      : ScoredPolicy(trace.keys, slot_count), uses_(trace.keys), seen_(trace.keys) {
    int64_t time = 0;
    for (const PoolTrace::Group& group : trace.groups) {
      ++time;
      for (const uint32_t key : group.keys) uses_[key].push_back(time);
    }
  }
  const char* name() const override { return "belady"; }

  void on_use(SliceId key, std::optional<SlotId> slot) override {
    const size_t next = ++seen_[key.value];
    const std::vector<int64_t>& uses = uses_[key.value];
    set(key, slot, next < uses.size() ? -uses[next] : std::numeric_limits<int64_t>::min());
  }

 private:
  std::vector<std::vector<int64_t>> uses_;  // groups, by key
  std::vector<size_t> seen_;                // uses so far, by key
};

class HindsightPolicy final : public ScoredPolicy<uint64_t> {
 public:
  HindsightPolicy(const PoolTrace& trace, uint32_t slot_count)
      : ScoredPolicy(trace.keys, slot_count) {
    for (const PoolTrace::Group& group : trace.groups) {
      for (const uint32_t key : group.keys) ++score({key});
    }
  }
  const char* name() const override { return "hindsight"; }
  void on_use(SliceId, std::optional<SlotId>) override {}
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_frequency_policy(uint32_t key_count, uint32_t slot_count,
                                                      double half_life_uses) {
  return std::make_unique<FrequencyPolicy>(key_count, slot_count, half_life_uses);
}

std::unique_ptr<EvictionPolicy> make_resident_frequency_policy(uint32_t key_count,
                                                               uint32_t slot_count) {
  return std::make_unique<ResidentFrequencyPolicy>(key_count, slot_count);
}

std::unique_ptr<EvictionPolicy> make_slru_policy(uint32_t slot_count, double protected_share) {
  return std::make_unique<SlruPolicy>(slot_count, protected_share);
}

std::unique_ptr<EvictionPolicy> make_two_queues_policy(uint32_t key_count, uint32_t slot_count) {
  return std::make_unique<TwoQueuesPolicy>(key_count, slot_count);
}

std::unique_ptr<EvictionPolicy> make_hindsight_policy(const PoolTrace& trace, uint32_t slot_count) {
  return std::make_unique<HindsightPolicy>(trace, slot_count);
}

std::unique_ptr<EvictionPolicy> make_belady_policy(const PoolTrace& trace, uint32_t slot_count) {
  return std::make_unique<BeladyPolicy>(trace, slot_count);
}

}  // namespace hypura
