#include "server/seconds.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(Seconds, HaveUnits) {
  EXPECT_EQ(parse_seconds("5m"), 300);
  EXPECT_EQ(parse_seconds("1h30m"), 5400);
  EXPECT_EQ(parse_seconds("1.5s"), 1.5);
  EXPECT_EQ(parse_seconds("250ms"), 0.25);
}

TEST(Seconds, NumbersAloneAreSeconds) {
  EXPECT_EQ(parse_seconds("300"), 300);
  EXPECT_EQ(parse_seconds("0"), 0);
  EXPECT_EQ(parse_seconds("-1"), -1);
  EXPECT_EQ(parse_seconds("-1m"), -60);
}

TEST(Seconds, OtherWordsAreNone) {
  for (const char* text : {"", "-", "m", "5x", "5m3", "1e3", "--1", "inf", "nan", "5 m"}) {
    EXPECT_FALSE(parse_seconds(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace hypura
