// The simulator against tiny traces worked out by hand, and Belady against all that can be done.
#include "replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "policies.h"

namespace hypura {
namespace {

using Groups = std::vector<std::vector<uint32_t>>;

PoolTrace trace_of(uint32_t keys, const Groups& groups) {
  PoolTrace trace{.keys = keys, .groups = {}};
  for (const std::vector<uint32_t>& group : groups) trace.groups.push_back({.keys = group});
  return trace;
}

std::unique_ptr<EvictionPolicy> lru(const PoolTrace&, uint32_t slots) {
  return make_lru_policy(slots);
}
std::unique_ptr<EvictionPolicy> lfu(const PoolTrace& trace, uint32_t slots) {
  return make_frequency_policy(trace.keys, slots, kNoHalfLife);
}

TEST(Replay, CountsWhatWasThereWhenTheTokenBecameKnown) {
  // 0 1 | hit 1, load 2 for 0 | 2 and 1 hit | hit 2, 0 for 1
  const PoolTrace trace = trace_of(3, {{0, 1}, {1, 2}, {2, 1}, {2, 0}});
  const ReplayCount count = replay(trace, 2, lru);
  EXPECT_EQ(count.uses, 8u);
  EXPECT_EQ(count.hits, 4u);
}

TEST(Replay, ATokensOwnExpertsStay) {
  // 0 is the oldest when {2, 0} comes, and the only one that may not go: 1 goes for 2.
  const PoolTrace trace = trace_of(3, {{0}, {1}, {2, 0}, {0}});
  EXPECT_EQ(replay(trace, 2, lru).hits, 2u);
}

TEST(Replay, FewerSlotsThanATokenNeedsAreUsedInTurn) {
  // One slot: what was loaded last is there.
  EXPECT_EQ(replay(trace_of(3, {{0, 1, 2}, {2, 0}, {0}}), 1, lru).hits, 2u);
  EXPECT_EQ(replay(trace_of(3, {{0, 1, 2}, {0, 1, 2}}), 1, lru).hits, 1u);
}

TEST(Replay, OnlyCountedGroupsCountButAllWarm) {
  PoolTrace trace = trace_of(2, {{0}, {0}, {1}});
  trace.groups[0].counted = false;
  const ReplayCount count = replay(trace, 2, lru);
  EXPECT_EQ(count.uses, 2u);
  EXPECT_EQ(count.hits, 1u);
}

TEST(Replay, FrequencyKeepsWhatLruLoses) {
  // 0 is used often; 1, 2, 3 pass by.
  const PoolTrace trace = trace_of(4, {{0}, {0}, {0}, {1}, {2}, {3}, {1}, {2}, {0}});
  EXPECT_EQ(replay(trace, 2, lru).hits, 2u);
  EXPECT_EQ(replay(trace, 2, lfu).hits, 3u);
}

TEST(Replay, SplitsATraceIntoPools) {
  RoutingTrace trace{.layers = 2, .experts = 8, .tokens = {}};
  trace.tokens.push_back({.phase = TracePhase::prompt, .layer = 0, .experts = {3, 4}});
  trace.tokens.push_back({.phase = TracePhase::prompt, .layer = 1, .experts = {5, 6}});
  trace.tokens.push_back({.step = 1, .layer = 0, .experts = {3, 7}});
  trace.tokens.push_back({.step = 1, .layer = 1, .experts = {5, 0}});

  const std::vector<PoolTrace> layers = pool_traces(trace, Pools::per_layer, Counted::decode);
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[1].keys, 8u);
  ASSERT_EQ(layers[1].groups.size(), 2u);
  EXPECT_FALSE(layers[1].groups[0].counted);
  EXPECT_TRUE(layers[1].groups[1].counted);
  EXPECT_EQ(layers[1].groups[1].keys, (std::vector<uint32_t>{5, 0}));

  const std::vector<PoolTrace> shared = pool_traces(trace, Pools::shared, Counted::decode_cold);
  ASSERT_EQ(shared.size(), 1u);
  EXPECT_EQ(shared[0].keys, 16u);
  ASSERT_EQ(shared[0].groups.size(), 2u);
  EXPECT_EQ(shared[0].groups[1].keys, (std::vector<uint32_t>{13, 8}));
  EXPECT_TRUE(pool_traces(trace, Pools::shared, Counted::all)[0].groups[0].counted);
}

// The most hits there can be: every choice of what to keep, tried. What a token needs is kept, and
// nothing else is loaded.
class BestOfAll {
 public:
  BestOfAll(const PoolTrace& trace, uint32_t slots) : trace_(trace), slots_(slots) {}
  uint64_t hits() { return hits_from(0, 0); }

 private:
  using Keys = uint32_t;  // a bit each

  uint64_t hits_from(size_t at, Keys held) {
    if (at == trace_.groups.size()) return 0;
    const auto known = known_.find({at, held});
    if (known != known_.end()) return known->second;
    Keys needed = 0;
    for (const uint32_t key : trace_.groups[at].keys) needed |= Keys{1} << key;
    const uint64_t now = static_cast<uint64_t>(__builtin_popcount(held & needed));
    uint64_t best = 0;
    const Keys others = held & ~needed;
    // All subsets of the others, the empty one last.
    for (Keys kept = others;; kept = (kept - 1) & others) {
      if (static_cast<uint32_t>(__builtin_popcount(kept | needed)) <= slots_) {
        best = std::max(best, hits_from(at + 1, kept | needed));
      }
      if (kept == 0) break;
    }
    return known_[{at, held}] = now + best;
  }

  const PoolTrace& trace_;
  uint32_t slots_;
  std::map<std::pair<size_t, Keys>, uint64_t> known_;
};

TEST(Belady, HasTheMostHitsThereCanBeAndNoPolicyHasMore) {
  uint64_t beaten = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    const auto draw = [&] { return static_cast<uint32_t>(generator()); };
    const uint32_t keys = 3 + draw() % 5;
    const uint32_t each = 1 + draw() % 3;
    const uint32_t slots = each + draw() % (keys - each + 1);
    Groups groups(2 + draw() % 14);
    for (std::vector<uint32_t>& group : groups) {
      std::set<uint32_t> drawn;
      while (drawn.size() < each) drawn.insert(draw() % keys);
      group.assign(drawn.begin(), drawn.end());
      std::shuffle(group.begin(), group.end(), generator);
    }
    const PoolTrace trace = trace_of(keys, groups);
    const uint64_t best = BestOfAll(trace, slots).hits();
    EXPECT_EQ(replay(trace, slots, make_belady_policy).hits, best);
    for (const MakePolicy& make : {MakePolicy(lru), MakePolicy(lfu)}) {
      const uint64_t hits = replay(trace, slots, make).hits;
      EXPECT_LE(hits, best);
      beaten += hits < best;
    }
  }
  EXPECT_GT(beaten, 100u) << "or the traces are too easy to tell";
}

}  // namespace
}  // namespace hypura
