#include "base/suggestion.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

const std::vector<std::string> kFlags{"--ram-budget", "--gpu-budget", "--mode", "--seed", "--json"};

TEST(Suggestion, FindsWhatWasMeant) {
  EXPECT_EQ(closest("--ram-budget", kFlags), "--ram-budget");
  EXPECT_EQ(closest("--rambudget", kFlags), "--ram-budget");
  EXPECT_EQ(closest("--ram-bugdet", kFlags), "--ram-budget");
  EXPECT_EQ(closest("--gpu-buget", kFlags), "--gpu-budget");
  EXPECT_EQ(closest("--mod", kFlags), "--mode");
  EXPECT_EQ(closest("--jsno", kFlags), "--json");
}

TEST(Suggestion, IsEmptyIfNothingIsNear) {
  EXPECT_EQ(closest("--temperature", kFlags), "");
  EXPECT_EQ(closest("", kFlags), "");
  EXPECT_EQ(closest("--mode", {}), "");
}

TEST(Suggestion, AllowsOneChangeInThreeLetters) {
  EXPECT_EQ(closest("abcdef", {"abXYef"}), "abXYef");
  EXPECT_EQ(closest("abcdef", {"aXYZef"}), "");
  EXPECT_EQ(closest("abcde", {"abXYe"}), "");
  EXPECT_EQ(closest("rn", {"run"}), "run") << "one change is always allowed";
}

TEST(Suggestion, SwappedNeighboursAreOneChange) {
  EXPECT_EQ(closest("urn", {"run"}), "run");
  EXPECT_EQ(closest("badcef", {"abcdef"}), "abcdef");
}

TEST(Suggestion, PrefersTheNearestThenTheFirst) {
  EXPECT_EQ(closest("inspekt", {"inspects", "inspect"}), "inspect");
  EXPECT_EQ(closest("bun", {"run", "fun"}), "run");
}

}  // namespace
}  // namespace hypura
