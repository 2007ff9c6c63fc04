#include "cache/coactivation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace hypura {
namespace {

using Experts = std::vector<int32_t>;

TEST(Coactivation, KnowsNothingAtFirst) {
  Coactivation table(2, 8);
  Experts ranked = {1};
  table.rank(0, Experts{0, 1}, 4, ranked);
  EXPECT_TRUE(ranked.empty());
}

TEST(Coactivation, RanksByHowOftenExpertsFollowed) {
  Coactivation table(2, 8);
  for (int i = 0; i < 3; ++i) table.observe(0, Experts{1}, Experts{5});
  table.observe(0, Experts{1}, Experts{2});
  table.observe(0, Experts{3}, Experts{2});
  table.observe(1, Experts{1}, Experts{7});  // another layer
  Experts ranked;
  table.rank(0, Experts{1}, 8, ranked);
  EXPECT_EQ(ranked, (Experts{5, 2}));
  table.rank(0, Experts{1}, 1, ranked);
  EXPECT_EQ(ranked, (Experts{5}));
  table.rank(0, Experts{1, 3}, 8, ranked);
  EXPECT_EQ(ranked, (Experts{5, 2}));
  table.observe(0, Experts{3}, Experts{2});
  table.observe(0, Experts{3}, Experts{2});
  table.rank(0, Experts{1, 3}, 8, ranked);
  EXPECT_EQ(ranked, (Experts{2, 5}));
}

TEST(Coactivation, ForgetsSlowlyInsteadOfOverflowing) {
  Coactivation table(1, 4);
  for (int i = 0; i < 300; ++i) table.observe(0, Experts{0}, Experts{1});
  for (int i = 0; i < 200; ++i) table.observe(0, Experts{0}, Experts{2});
  Experts ranked;
  table.rank(0, Experts{0}, 4, ranked);
  EXPECT_EQ(ranked, (Experts{2, 1}));
}

TEST(Coactivation, AgreesWithPlainCounts) {
  std::mt19937 random(7);
  Coactivation table(3, 16);
  std::map<std::pair<uint32_t, int32_t>, std::map<int32_t, uint32_t>> counts;
  const auto pick = [&] {
    Experts experts(16);
    for (int32_t i = 0; i < 16; ++i) experts[static_cast<size_t>(i)] = i;
    std::shuffle(experts.begin(), experts.end(), random);
    experts.resize(3);
    return experts;
  };
  for (int i = 0; i < 200; ++i) {
    const uint32_t layer = static_cast<uint32_t>(random() % 3);
    const Experts from = pick(), to = pick();
    table.observe(layer, from, to);
    for (const int32_t a : from) {
      for (const int32_t b : to) ++counts[{layer, a}][b];
    }
    const Experts asked = pick();
    std::map<int32_t, uint32_t> sums;
    for (const int32_t a : asked) {
      for (const auto& [b, count] : counts[{layer, a}]) sums[b] += count;
    }
    Experts expected;
    for (const auto& [b, count] : sums) expected.push_back(b);
    std::stable_sort(expected.begin(), expected.end(),
                     [&](int32_t a, int32_t b) { return sums[a] > sums[b]; });
    expected.resize(std::min<size_t>(expected.size(), 5));
    Experts ranked;
    table.rank(layer, asked, 5, ranked);
    ASSERT_EQ(ranked, expected) << "step " << i;
  }
}

}  // namespace
}  // namespace hypura
