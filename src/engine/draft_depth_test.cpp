#include "engine/draft_depth.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace hypura {
namespace {

// A model whose pass takes a + b * tokens seconds and agrees with each drafted token by chance.
struct Machine {
  double read_seconds = 1;
  double token_seconds = 0.01;
  double draft_seconds = 0.01;
  double acceptance = 0.75;
  uint64_t seed = 1;

  double draw() {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return static_cast<double>(seed >> 11) * 0x1p-53;
  }

  DraftPass pass(int depth) {
    DraftPass pass{.drafted = depth};
    while (pass.accepted < depth && draw() < acceptance) ++pass.accepted;
    pass.rejected = pass.accepted < depth;
    pass.pass_seconds = read_seconds + token_seconds * (1 + depth);
    pass.draft_seconds = draft_seconds * depth;
    return pass;
  }

  // The depth with the most tokens a second, by the true numbers.
  int best() const {
    int best = 0;
    double most = 0;
    for (int depth = 0; depth <= kDraftDepthMax; ++depth) {
      double tokens = 1;
      double all = 1;
      for (int i = 0; i < depth; ++i) tokens += all *= acceptance;
      const double seconds = read_seconds + token_seconds * (1 + depth) + draft_seconds * depth;
      if (tokens / seconds > most) best = depth, most = tokens / seconds;
    }
    return best;
  }
};

// The depths of `passes` passes, a first few left out.
std::vector<int> depths_of(Machine machine, int start, int passes, int skipped = 100) {
  DraftDepth depth(start);
  std::vector<int> depths;
  for (int i = 0; i < passes; ++i) {
    const int chosen = depth.choose();
    if (i >= skipped) depths.push_back(chosen);
    depth.learn(machine.pass(chosen));
  }
  return depths;
}

double mean(const std::vector<int>& values) {
  double sum = 0;
  for (const int value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(DraftDepth, BeginsWhereItIsTold) {
  DraftDepth depth(8);
  Machine machine;
  EXPECT_EQ(depth.choose(), 8);
  depth.learn(machine.pass(8));
  EXPECT_EQ(depth.choose(), 4);
  depth.learn(machine.pass(4));
  EXPECT_EQ(depth.choose(), 16);
}

TEST(DraftDepth, IsDeepWhereReadingDominates) {
  const Machine machine{.token_seconds = 0.005, .draft_seconds = 0.005, .acceptance = 0.8};
  EXPECT_GE(mean(depths_of(machine, 8, 400)), 9);
}

TEST(DraftDepth, IsShallowWhereEachTokenCosts) {
  const Machine machine{.read_seconds = 0.3, .token_seconds = 0.2, .draft_seconds = 0.02};
  const double depth = mean(depths_of(machine, 8, 400));
  EXPECT_GE(depth, 1);
  EXPECT_LE(depth, 4);
}

TEST(DraftDepth, StopsWhereATokenMoreIsAReadMore) {
  const Machine experts{.read_seconds = 0.05, .token_seconds = 1, .draft_seconds = 0.1};
  EXPECT_LE(mean(depths_of(experts, 1, 3000, 300)), 0.1);
  // Even from a start that was far too deep.
  EXPECT_LE(mean(depths_of(experts, 8, 3000, 300)), 0.1);
}

TEST(DraftDepth, StopsWhereNothingIsAccepted) {
  const Machine deaf{.acceptance = 0.0};
  EXPECT_LE(mean(depths_of(deaf, 8, 2000, 200)), 0.2);
}

TEST(DraftDepth, ComesBackWhenDraftsArePlausibleAgain) {
  DraftDepth depth(8);
  Machine machine{.acceptance = 0};
  for (int i = 0; i < 200; ++i) depth.learn(machine.pass(depth.choose()));
  EXPECT_EQ(depth.choose(), 0);
  machine.acceptance = 0.9;
  int passes = 0;
  while (depth.choose() < 4 && passes < 3000) depth.learn(machine.pass(depth.choose())), ++passes;
  EXPECT_LT(passes, 3000);
}

// Speed within a tenth of the best depth's, over machines of all kinds.
TEST(DraftDepth, IsNearTheBestDepth) {
  for (const double token : {0.002, 0.02, 0.1, 0.4}) {
    for (const double acceptance : {0.4, 0.6, 0.8, 0.9}) {
      const Machine truth{.token_seconds = token, .draft_seconds = token / 4,
                          .acceptance = acceptance};
      const auto rate = [&](int depth) {
        double tokens = 1;
        double all = 1;
        for (int i = 0; i < depth; ++i) tokens += all *= acceptance;
        return tokens / (truth.read_seconds + token * (1 + depth) + truth.draft_seconds * depth);
      };
      double sum = 0;
      const std::vector<int> depths = depths_of(truth, 8, 600);
      for (const int depth : depths) sum += rate(depth);
      EXPECT_GE(sum / static_cast<double>(depths.size()), 0.9 * rate(truth.best()))
          << "token " << token << ", acceptance " << acceptance << ", best " << truth.best()
          << ", mean " << mean(depths);
    }
  }
}

// The end of an answer judges no more: neither for nor against the rest of the draft.
TEST(DraftDepth, WhatWasNotJudgedDoesNotCount) {
  DraftDepth judged(8);
  DraftDepth unjudged(8);
  judged.learn({.drafted = 8, .accepted = 2, .rejected = true, .pass_seconds = 1});
  unjudged.learn({.drafted = 8, .accepted = 2, .rejected = false, .pass_seconds = 1});
  EXPECT_LT(judged.expected_tokens(8), unjudged.expected_tokens(8));
}

TEST(DraftDepth, TimesWithoutAnySpreadAreStillUsable) {
  DraftDepth depth(8);
  for (int i = 0; i < 50; ++i) depth.learn({.drafted = 3, .accepted = 3, .pass_seconds = 2});
  EXPECT_NEAR(depth.expected_seconds(3), 2, 1e-9);
  EXPECT_GT(depth.expected_seconds(8), 2);
  EXPECT_GT(depth.expected_seconds(0), 0);
}

TEST(DraftDepth, ADeepDraftThatWasAskedForIsLearntToo) {
  DraftDepth depth(8);
  depth.learn({.drafted = kDraftDepthAsked, .accepted = kDraftDepthAsked, .pass_seconds = 1});
  EXPECT_LE(depth.choose(), kDraftDepthMax);
}

}  // namespace
}  // namespace hypura
