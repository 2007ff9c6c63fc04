#include "plan/gpu_ffns.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

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
TEST(GpuFfns, LargerOnesFillWhatSmallerOnesLeave) {
  Layers layers;
  for (int i = 0; i < 18; ++i) {
    layers[i] = i % 2 == 0 ? FfnBytes{.all = 340, .end = 113} : FfnBytes{.all = 392, .end = 165};
  }
  const FfnChoice choice = choose_ffns(layers, 1300);
  EXPECT_EQ(choice.whole.size(), 3u);
  EXPECT_EQ(bytes_of(layers, choice), 1298u);  // 3 * 340, 113 and 165
}

TEST(GpuFfns, LayersWithoutEndsOrFfns) {
  const Layers layers = {{0, {}}, {1, {.all = 30}}, {2, {.all = 30}}};
  const FfnChoice choice = choose_ffns(layers, 50);
  EXPECT_EQ(choice.whole, std::set<int>{2});
  EXPECT_TRUE(choice.ends.empty());
  EXPECT_TRUE(choose_ffns({}, 50).whole.empty());
}

// Against every way there is.
TEST(GpuFfns, NoWayLeavesLess) {
  std::mt19937 draw(1);
  for (int round = 0; round < 200; ++round) {
    const std::vector<FfnBytes> kinds = {
        {.all = 20 + draw() % 20, .end = 5 + draw() % 10}, {.all = 40 + draw() % 9, .end = 15}};
    Layers layers;
    for (int i = 0; i < 7; ++i) layers[i] = kinds[draw() % 2];
    const uint64_t bytes = draw() % 300;
    size_t most_whole = 0;
    uint64_t most_bytes = 0;
    for (int way = 0; way < 2187; ++way) {  // 3^7
      FfnChoice choice;
      for (int i = 0, rest = way; i < 7; ++i, rest /= 3) {
        if (rest % 3 == 1) choice.ends.insert(i);
        if (rest % 3 == 2) choice.whole.insert(i);
      }
      const uint64_t taken = bytes_of(layers, choice);
      if (taken > bytes || choice.whole.size() < most_whole) continue;
      if (choice.whole.size() > most_whole) most_bytes = 0;
      most_whole = choice.whole.size();
      most_bytes = std::max(most_bytes, taken);
    }
    const FfnChoice choice = choose_ffns(layers, bytes);
    EXPECT_EQ(choice.whole.size(), most_whole) << round;
    EXPECT_EQ(bytes_of(layers, choice), most_bytes) << round;
  }
}

// Every layer another one: as many as can be, in little time.
TEST(GpuFfns, ManyKindsTakeNoLonger) {
  Layers layers;
  for (int i = 0; i < 200; ++i) {
    layers[i] = {.all = 1000 + static_cast<uint64_t>(i), .end = 300 + static_cast<uint64_t>(i)};
  }
  const FfnChoice choice = choose_ffns(layers, 100'000);
  EXPECT_GE(choice.whole.size(), 95u);
  EXPECT_LE(bytes_of(layers, choice), 100'000u);
}

}  // namespace
}  // namespace hypura
