#include "plan/gpu_ffns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace hypura {
namespace {

using Layers = std::map<int, FfnBytes>;

uint64_t bytes_of(const Layers& layers, const FfnChoice& choice) {
  uint64_t bytes = 0;
  for (const auto& [number, layer] : layers) {
    EXPECT_FALSE(choice.whole.contains(number) && choice.ends.contains(number)) << number;
    if (choice.whole.contains(number)) bytes += layer.all;
    if (choice.ends.contains(number)) bytes += layer.end;
  }
  return bytes;
}

TEST(GpuFfns, OfLayersAlikeTheLastOnesGo) {
  Layers layers;
  for (int i = 0; i < 8; ++i) layers[i] = {.all = 30, .end = 10};
  const FfnChoice choice = choose_ffns(layers, 85);
  EXPECT_EQ(choice.whole, (std::set<int>{6, 7}));
  EXPECT_EQ(choice.ends, (std::set<int>{4, 5}));
  EXPECT_TRUE(choose_ffns(layers, 9).ends.empty());
  EXPECT_EQ(choose_ffns(layers, 240).whole.size(), 8u);
}

// As in Q4_K_M files, half of whose layers end with a larger matrix.
TEST(GpuFfns, EndsFillWhatWholeOnesLeave) {
  Layers layers;
  for (int i = 0; i < 18; ++i) {
    layers[i] = i % 2 == 0 ? FfnBytes{.all = 340, .end = 113} : FfnBytes{.all = 392, .end = 165};
  }
  const FfnChoice choice = choose_ffns(layers, 392 + 340 + 276);
  EXPECT_EQ(choice.whole, (std::set<int>{16, 17}));
  EXPECT_EQ(choice.ends, (std::set<int>{12, 14})) << "one of 165 would leave more";
}

TEST(GpuFfns, WhatStreamsHasNoGaps) {
  const Layers layers = {{0, {.all = 20}}, {1, {.all = 20}}, {2, {.all = 50}}, {3, {.all = 20}}};
  EXPECT_EQ(choose_ffns(layers, 60).whole, std::set<int>{3});
}

TEST(GpuFfns, LayersWithoutEndsOrFfns) {
  const Layers layers = {{0, {}}, {1, {.all = 30}}, {2, {}}, {3, {.all = 30}}};
  const FfnChoice choice = choose_ffns(layers, 50);
  EXPECT_EQ(choice.whole, (std::set<int>{2, 3}));
  EXPECT_TRUE(choice.ends.empty());
  EXPECT_TRUE(choose_ffns({}, 50).whole.empty());
}

// Against every way there is.
TEST(GpuFfns, NoEndsLeaveLess) {
  std::mt19937 draw(1);
  for (int round = 0; round < 200; ++round) {
    Layers layers;
    for (int i = 0; i < 10; ++i) layers[i] = {.all = 200, .end = 20 + 15 * (draw() % 3)};
    const uint64_t bytes = draw() % 600;
    const FfnChoice choice = choose_ffns(layers, bytes);
    EXPECT_EQ(choice.whole.size(), bytes / 200) << round;
    uint64_t most = 0;
    for (int way = 0; way < 1024; ++way) {
      FfnChoice other{.whole = choice.whole};
      for (int i = 0; i < 10; ++i) {
        if ((way >> i & 1) != 0 && !choice.whole.contains(i)) other.ends.insert(i);
      }
      const uint64_t taken = bytes_of(layers, other);
      if (taken <= bytes) most = std::max(most, taken);
    }
    EXPECT_EQ(bytes_of(layers, choice), most) << round;
  }
}

// Every layer another one, and ends of nearly all fit: some good way, in little time.
TEST(GpuFfns, ManyKindsTakeNoLonger) {
  Layers layers;
  for (int i = 0; i < 200; ++i) {
    layers[i] = {.all = 100'000, .end = 300 + static_cast<uint64_t>(i)};
  }
  const FfnChoice choice = choose_ffns(layers, 70'000);
  EXPECT_TRUE(choice.whole.empty());
  EXPECT_LE(bytes_of(layers, choice), 70'000u);
  EXPECT_GE(bytes_of(layers, choice), 69'700u);
}

}  // namespace
}  // namespace hypura
