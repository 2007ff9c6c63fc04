#include "base/units.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(Units, ParsesWhatPeopleType) {
  EXPECT_EQ(parse_bytes("4096"), 4096u);
  EXPECT_EQ(parse_bytes("8G"), 8 * kGiB);
  EXPECT_EQ(parse_bytes("8gib"), 8 * kGiB);
  EXPECT_EQ(parse_bytes("1.5M"), kMiB + kMiB / 2);
  EXPECT_EQ(parse_bytes("0"), 0u);
}

TEST(Units, RefusesEverythingElse) {
  for (const char* text :
       {"", "G", "-1G", "1e99", "nan", "inf", "8X", "8 G", "99999999999T", "8Gi8"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Units, FormatsWithOneDecimal) {
  EXPECT_EQ(format_bytes(17), "17 B");
  EXPECT_EQ(format_bytes(512 * kKiB), "512 KiB");
  EXPECT_EQ(format_bytes(kGiB * 3 / 2), "1.5 GiB");
}

TEST(Units, Rounds) {
  EXPECT_EQ(round_up(1, 4096), 4096u);
  EXPECT_EQ(round_up(4096, 4096), 4096u);
  EXPECT_EQ(round_down(4095, 4096), 0u);
}

TEST(Units, SubtractsDownToNothing) {
  EXPECT_EQ(saturating_subtract(7, 3), 4u);
  EXPECT_EQ(saturating_subtract(7, 7), 0u);
  EXPECT_EQ(saturating_subtract(7, kGiB), 0u);
}

}  // namespace
}  // namespace hypura
