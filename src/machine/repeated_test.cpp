#include "machine/repeated.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

namespace hypura {
namespace {

Repeated of(std::initializer_list<double> rates) {
  Repeated repeated;
  for (double rate : rates) repeated.add(rate);
  return repeated;
}

TEST(Repeated, OfNothingIsZero) {
  EXPECT_EQ(of({}).median(), 0);
  EXPECT_EQ(of({}).spread(), 0);
  EXPECT_EQ(of({}).slowdown(), 0);
}

TEST(Repeated, MedianAndSpread) {
  EXPECT_EQ(of({3, 1, 2}).median(), 2);
  EXPECT_EQ(of({4, 1, 2, 3}).median(), 2.5);
  EXPECT_DOUBLE_EQ(of({1, 2, 3, 4, 5}).spread(), 2.0 / 3);
  EXPECT_EQ(of({2, 2, 2, 2}).spread(), 0);
  EXPECT_EQ(of({1, 9}).spread(), 0) << "two values are no distribution";
}

TEST(Repeated, FastIsWhatATenthReached) {
  EXPECT_EQ(of({}).fast(), 0);
  EXPECT_EQ(of({7}).fast(), 7);
  EXPECT_EQ(of({1, 1, 1, 1, 1, 1, 1, 1, 1, 9, 9}).fast(), 9) << "disturbed most of the time";
}

TEST(Repeated, OneOutlierIsNoSpread) {
  EXPECT_LT(of({10, 10, 10, 1, 10, 10, 10, 10, 10}).spread(), 0.01);
}

TEST(Repeated, SlowdownIsOfTheLastThird) {
  EXPECT_DOUBLE_EQ(of({10, 10, 8, 8, 5, 5}).slowdown(), 0.5);
  EXPECT_EQ(of({5, 5, 8, 8, 10, 10}).slowdown(), 0) << "it grew faster";
  EXPECT_EQ(of({10, 1, 1}).slowdown(), 0) << "too few to tell";
}

TEST(Rounded, KeepsFourDigits) {
  EXPECT_EQ(rounded(2.34567), 2.346);
  EXPECT_EQ(rounded(0.0123456), 0.01235);
  EXPECT_EQ(rounded(123456.7), 123500);
  EXPECT_EQ(rounded(0), 0);
  EXPECT_EQ(rounded(std::nan("")), 0);
}

}  // namespace
}  // namespace hypura
