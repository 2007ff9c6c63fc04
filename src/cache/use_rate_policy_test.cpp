#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "cache/eviction_policy.h"
#include "cache/slot_table.h"

namespace hypura {
namespace {

std::vector<uint32_t> victims(const EvictionPolicy& policy) {
  std::vector<uint32_t> slots;
  for (auto slot = policy.first_victim(); slot; slot = policy.next_victim(*slot)) {
    slots.push_back(slot->value);
  }
  return slots;
}

// The formulas as they are written in a book: every use ever, weighed by its age.
class DumbRates {
 public:
  DumbRates(uint32_t key_count, const UseRateOptions& options)
      : options_(options), key_count_(key_count) {}

  void use(uint32_t key) {
    double share[2] = {share_, 1 - share_};
    for (int i = 0; i < 2; ++i) {
      const double foretold = uses_.empty()
                                  ? 1.0 / key_count_
                                  : (count(key, i) + 1.0 / key_count_) / (count_all(i) + 1);
      share[i] *= foretold;
    }
    share_ = (1 - options_.unlearning) * share[0] / (share[0] + share[1]) + options_.unlearning / 2;
    uses_.push_back(key);
  }
  double rate(uint32_t key) const {
    if (uses_.empty()) return 0;
    return share_ * count(key, 0) / count_all(0) + (1 - share_) * count(key, 1) / count_all(1);
  }

 private:
  double weight(size_t at, int i) const {
    return std::exp2(-static_cast<double>(uses_.size() - 1 - at) / options_.half_life_uses[i]);
  }
  double count(uint32_t key, int i) const {
    double sum = 0;
    for (size_t at = 0; at < uses_.size(); ++at) sum += uses_[at] == key ? weight(at, i) : 0;
    return sum;
  }
  double count_all(int i) const {
    double sum = 0;
    for (size_t at = 0; at < uses_.size(); ++at) sum += weight(at, i);
    return sum;
  }

  UseRateOptions options_;
  uint32_t key_count_;
  double share_ = 0.5;
  std::vector<uint32_t> uses_;
};

TEST(UseRatePolicy, AgreesWithADumbModel) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    const auto draw = [&] { return static_cast<uint32_t>(generator()); };
    const uint32_t keys = 2 + draw() % 9;
    const uint32_t slots = 1 + draw() % (keys - 1);
    // A half-life of half a use reaches the rescaling of counts within 50 uses.
    const UseRateOptions options{.half_life_uses = {seed % 3 == 0 ? 0.5 : 4.0, 40},
                                 .unlearning = 0.02};
    const auto policy = make_use_rate_policy(keys, slots, options);
    DumbRates rates(keys, options);
    std::vector<std::optional<uint32_t>> key_in(slots);
    for (int step = 0; step < 150; ++step) {
      const uint32_t key = draw() % (1 + draw() % keys);
      std::optional<SlotId> slot;
      for (uint32_t i = 0; i < slots; ++i) {
        if (key_in[i] == key) slot = SlotId{i};
      }
      policy->on_use({key}, slot);
      rates.use(key);
      if (!slot && draw() % 2 == 0) {
        const SlotId taken{draw() % slots};
        if (key_in[taken.value]) policy->on_remove(taken);
        policy->on_insert(taken, {key});
        key_in[taken.value] = key;
      }
      const std::vector<uint32_t> order = victims(*policy);
      size_t held = 0;
      for (const auto& in : key_in) held += in.has_value();
      ASSERT_EQ(order.size(), held);
      for (size_t i = 1; i < order.size(); ++i) {
        const double before = rates.rate(*key_in[order[i - 1]]);
        const double after = rates.rate(*key_in[order[i]]);
        ASSERT_LE(before, after * (1 + 1e-4) + 1e-9) << "counts are floats";
      }
    }
  }
}

uint32_t hits(const std::vector<uint32_t>& uses, uint32_t keys, uint32_t slots,
              std::unique_ptr<EvictionPolicy> policy) {
  SlotTable table(keys, slots, std::move(policy));
  uint32_t count = 0;
  for (const uint32_t key : uses) {
    const bool hit = table.find({key}).has_value();
    count += hit;
    table.use({key});
    if (!hit) table.finish_load(*table.begin_load({key}), true);
  }
  return count;
}

TEST(UseRatePolicy, KeepsTheFrequentUnderAScan) {
  std::vector<uint32_t> uses;
  for (uint32_t round = 0; round < 500; ++round) {
    for (uint32_t key = 0; key < 3; ++key) uses.push_back(key);
    for (uint32_t key = 0; key < 4; ++key) uses.push_back(4 + (round * 4 + key) % 28);
  }
  EXPECT_EQ(hits(uses, 32, 4, make_lru_policy(4)), 0u);
  EXPECT_GT(hits(uses, 32, 4, make_use_rate_policy(32, 4)), 1400u) << "of 1500 that are frequent";
}

TEST(UseRatePolicy, FollowsAWorkingSetThatMoves) {
  std::vector<uint32_t> uses;
  std::mt19937 generator(1);
  const auto draw = [&] { return static_cast<uint32_t>(generator()); };
  for (uint32_t phase = 0; phase < 40; ++phase) {
    for (int i = 0; i < 400; ++i) uses.push_back((phase * 4 + draw() % 4) % 32);
  }
  const uint32_t lru = hits(uses, 32, 6, make_lru_policy(6));
  EXPECT_GT(hits(uses, 32, 6, make_use_rate_policy(32, 6)), lru * 9 / 10);
  const UseRateOptions slow{.half_life_uses = {1024, 1024}};
  EXPECT_LT(hits(uses, 32, 6, make_use_rate_policy(32, 6, slow)), lru * 8 / 10);
}

TEST(UseRatePolicy, RemembersAKeyWithoutASlot) {
  const auto policy = make_use_rate_policy(3, 2);
  policy->on_use({0}, std::nullopt);
  policy->on_insert({0}, {0});
  policy->on_use({1}, std::nullopt);
  policy->on_insert({1}, {1});
  for (int i = 0; i < 5; ++i) policy->on_use({0}, SlotId{0});
  policy->on_remove({0});
  policy->on_use({1}, SlotId{1});
  policy->on_use({1}, SlotId{1});
  policy->on_insert({0}, {0});
  EXPECT_EQ(victims(*policy), (std::vector<uint32_t>{1, 0}));
}

TEST(UseRatePolicy, LearnsFromTheFirstRemovalOn) {
  const std::unique_ptr<EvictionPolicy> policy = make_use_rate_policy(3, 3);
  for (uint32_t i = 0; i < 3; ++i) policy->on_insert({i}, SliceId{i});
  policy->on_remove({2});  // there were slots for all keys
  for (int i = 0; i < 10; ++i) policy->on_use(SliceId{0}, SlotId{0});
  policy->on_use(SliceId{1}, SlotId{1});
  EXPECT_EQ(policy->first_victim(), SlotId{1});
}

}  // namespace
}  // namespace hypura
