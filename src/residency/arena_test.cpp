#include "residency/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

bool is_present(const std::byte* data, uint64_t bytes) {
  std::vector<unsigned char> pages((bytes + 4095) / 4096);
  if (mincore(const_cast<std::byte*>(data), bytes, pages.data()) != 0) return false;
  return std::all_of(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; });
}

TEST(Arena, IsAlignedAndPresent) {
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{4096}, uint64_t{4097}, 2 * kMiB - 1, 2 * kMiB,
                               5 * kMiB + 123}) {
    SCOPED_TRACE(bytes);
    const Result<Arena> arena = Arena::create(bytes);
    ASSERT_TRUE(arena.ok());
    EXPECT_EQ(arena->bytes(), round_up(bytes, 4096)) << "no more than the plan counts";
    const uint64_t alignment = arena->bytes() >= 2 * kMiB ? 2 * kMiB : 4 * kKiB;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % alignment, 0u);
    EXPECT_TRUE(is_present(arena->data(), arena->bytes()));
    std::fill_n(arena->data(), arena->bytes(), std::byte{1});
  }
}

TEST(Arena, OfNoBytesIsEmpty) {
  const Result<Arena> arena = Arena::create(0);
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->data(), nullptr);
  EXPECT_EQ(arena->bytes(), 0u);
}

TEST(Arena, Moves) {
  Arena first = *Arena::create(4096);
  std::byte* data = first.data();
  data[17] = std::byte{42};
  Arena second = std::move(first);
  EXPECT_EQ(second.data(), data);
  Arena third = *Arena::create(8192);
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.bytes(), 4096u);
  EXPECT_EQ(third.data()[17], std::byte{42});
}

TEST(Arena, GivesItsMemoryBack) {
  std::byte* data = nullptr;
  {
    const Arena arena = *Arena::create(4096);
    data = arena.data();
  }
  EXPECT_FALSE(is_present(data, 4096));
}

TEST(Arena, RefusesWhatTheMachineCannotMap) {
  const Result<Arena> arena = Arena::create(uint64_t{1} << 50);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(arena.status().code(), StatusCode::failed);
  EXPECT_EQ(arena.status().message(), "cannot map 1048576.0 GiB of memory: Cannot allocate memory");
}

TEST(AddressReservation, TakesNoMemoryAndFaults) {
  AddressReservation reservation = *AddressReservation::create(64 * kGiB);
  ASSERT_NE(reservation.data(), nullptr);
  EXPECT_FALSE(is_present(reservation.data(), kMiB));
  EXPECT_DEATH((void)*const_cast<volatile std::byte*>(reservation.data() + kGiB), "");
}

TEST(AddressReservation, MovesAndTakesZero) {
  AddressReservation first = *AddressReservation::create(0);
  std::byte* data = first.data();
  EXPECT_NE(data, nullptr) << "an empty file still has an address";
  AddressReservation second = std::move(first);
  EXPECT_EQ(first.data(), nullptr);
  first = std::move(second);
  EXPECT_EQ(first.data(), data);
}

}  // namespace
}  // namespace hypura
