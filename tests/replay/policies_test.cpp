// The compared policies: a list of uses in, victims out.
#include "policies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace hypura {
namespace {

// All victims in order, by key.
std::vector<uint32_t> ranking(const EvictionPolicy& policy, const std::vector<uint32_t>& key_of) {
  std::vector<uint32_t> keys;
  for (auto slot = policy.first_victim(); slot; slot = policy.next_victim(*slot)) {
    keys.push_back(key_of[slot->value]);
  }
  return keys;
}

// Keys 0, 1, ... are in the slots of the same number.
void fill(EvictionPolicy& policy, uint32_t slots) {
  for (uint32_t i = 0; i < slots; ++i) {
    policy.on_use({i}, std::nullopt);
    policy.on_insert({i}, {i});
  }
}
void use(EvictionPolicy& policy, std::initializer_list<uint32_t> keys) {
  for (const uint32_t key : keys) policy.on_use({key}, SlotId{key});
}

using Keys = std::vector<uint32_t>;

TEST(FrequencyPolicy, RanksByCountThenByRecency) {
  const auto policy = make_frequency_policy(4, 4, kNoHalfLife);
  fill(*policy, 4);
  use(*policy, {0, 2, 0, 1});
  EXPECT_EQ(ranking(*policy, {0, 1, 2, 3}), (Keys{3, 2, 1, 0}));
}

TEST(FrequencyPolicy, RemembersWhatHasNoSlot) {
  const auto policy = make_frequency_policy(3, 2, kNoHalfLife);
  fill(*policy, 2);
  use(*policy, {0, 1});
  for (int i = 0; i < 3; ++i) policy->on_use({2}, std::nullopt);
  policy->on_remove({0});
  policy->on_insert({0}, {2});
  EXPECT_EQ(ranking(*policy, {2, 1}), (Keys{1, 2}));

  const auto resident = make_resident_frequency_policy(3, 2);
  fill(*resident, 2);
  use(*resident, {0, 0, 1});
  resident->on_remove({0});
  resident->on_use({2}, std::nullopt);
  resident->on_insert({0}, {2});
  EXPECT_EQ(ranking(*resident, {2, 1}), (Keys{2, 1}));
  resident->on_remove({0});
  resident->on_use({0}, std::nullopt);
  resident->on_insert({0}, {0});
  EXPECT_EQ(ranking(*resident, {0, 1}), (Keys{0, 1})) << "its count ended with its slot";
}

TEST(FrequencyPolicy, AgesByItsHalfLife) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 generator(seed);
    const auto draw = [&] { return static_cast<uint32_t>(generator()); };
    const auto policy = make_frequency_policy(5, 5, 7);
    fill(*policy, 5);
    std::vector<double> times[5];
    double now = 0;
    for (uint32_t key = 0; key < 5; ++key) times[key].push_back(++now);
    for (int i = 0; i < 60; ++i) {
      const uint32_t key = draw() % 5;
      policy->on_use({key}, SlotId{key});
      times[key].push_back(++now);
    }
    const auto count = [&](uint32_t key) {
      double sum = 0;
      for (const double time : times[key]) sum += std::exp2((time - now) / 7);
      return sum;
    };
    const Keys order = ranking(*policy, {0, 1, 2, 3, 4});
    ASSERT_EQ(order.size(), 5u);
    for (size_t i = 1; i < order.size(); ++i) {
      EXPECT_LE(count(order[i - 1]), count(order[i]) * (1 + 1e-9)) << "seed " << seed;
    }
  }
}

TEST(SlruPolicy, ProtectsWhatIsUsedAgainUpToAShare) {
  const auto policy = make_slru_policy(4, 0.5);
  fill(*policy, 4);
  use(*policy, {0, 1});
  EXPECT_EQ(ranking(*policy, {0, 1, 2, 3}), (Keys{2, 3, 0, 1}));
  use(*policy, {2});
  EXPECT_EQ(ranking(*policy, {0, 1, 2, 3}), (Keys{3, 0, 1, 2})) << "0 goes back, as the newest";
}

TEST(TwoQueuesPolicy, KeepsWhatComesBackOutOfTheQueue) {
  const auto policy = make_two_queues_policy(8, 4);  // a queue of 1, 2 keys remembered
  fill(*policy, 4);
  use(*policy, {0});
  EXPECT_EQ(ranking(*policy, {0, 1, 2, 3}), (Keys{0, 1, 2, 3})) << "a use in the queue is none";
  policy->on_remove({0});
  policy->on_use({4}, std::nullopt);
  policy->on_insert({0}, {4});
  policy->on_remove({1});
  policy->on_use({0}, std::nullopt);
  policy->on_insert({1}, {0});
  EXPECT_EQ(ranking(*policy, {4, 0, 2, 3}), (Keys{2, 3, 4, 0})) << "0 was remembered";
}

TEST(BeladyPolicy, RanksByTheNextUse) {
  PoolTrace trace{.keys = 3, .groups = {}};
  for (const uint32_t key : {0, 1, 2, 1, 0}) trace.groups.push_back({.keys = {key}});
  const auto policy = make_belady_policy(trace, 3);
  fill(*policy, 3);
  EXPECT_EQ(ranking(*policy, {0, 1, 2}), (Keys{2, 0, 1})) << "2 never comes again";
  use(*policy, {1});
  EXPECT_EQ(ranking(*policy, {0, 1, 2}), (Keys{1, 2, 0}));
}

TEST(HindsightPolicy, RanksByAllUses) {
  PoolTrace trace{.keys = 3, .groups = {}};
  for (const uint32_t key : {0, 1, 2, 2, 2, 0}) trace.groups.push_back({.keys = {key}});
  const auto policy = make_hindsight_policy(trace, 3);
  fill(*policy, 3);
  EXPECT_EQ(ranking(*policy, {0, 1, 2}), (Keys{1, 0, 2}));
}

}  // namespace
}  // namespace hypura
