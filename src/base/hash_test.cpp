#include "base/hash.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

uint64_t hash_of(std::string_view bytes) {
  Fnv1a hash;
  hash.add_bytes(bytes);
  return hash.value();
}

TEST(Fnv1a, GivesThePublishedValues) {
  EXPECT_EQ(hash_of(""), 0xcbf29ce484222325u);
  EXPECT_EQ(hash_of("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(hash_of("foobar"), 0x85944171f73967e8u);
}

TEST(Fnv1a, TextsHaveEndsAndNumbersEightBytes) {
  Fnv1a apart, together, number;
  apart.add("a");
  apart.add("bc");
  together.add("ab");
  together.add("c");
  EXPECT_NE(apart.value(), together.value());
  number.add(uint64_t{0x6261});
  EXPECT_EQ(number.value(), hash_of(std::string_view("ab\0\0\0\0\0\0", 8)));
}

}  // namespace
}  // namespace hypura
