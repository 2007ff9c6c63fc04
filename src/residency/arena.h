#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace hypura {

// Makes every page of a mapping present, without changing what it holds. False with errno if there
// is no memory for it.
bool make_present(std::span<std::byte> memory);

// Returns the pages of a mapping to the system; what they held is lost, and touching them takes new
// ones. REQUIRES: part of an Arena; begins and ends at whole pages, or with the mapping.
void give_back(std::span<std::byte> memory);

// Asks for 2 MiB pages where the system gives them to those who ask. Has an effect on pages that
// are not present yet.
void prefer_huge_pages(std::span<std::byte> memory);

enum class Present : uint8_t {
  now,    // before create() returns
  later,  // by make_present(), or page by page on first use
};

// One anonymous mapping in 2 MiB pages where the system has them: huge pages that are present
// double direct-read bandwidth (0.9-1.1 -> 2.0-2.5 GB/s measured). Starts at a multiple of 2 MiB
// when it is that large, else of a page.
class Arena {
 public:
  Arena() = default;
  static Result<Arena> create(uint64_t bytes, Present present = Present::now);

  Arena(Arena&& other) noexcept { swap(other); }
  Arena& operator=(Arena&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Arena();

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  std::span<std::byte> memory() const { return {data_, bytes_}; }
  // What is best given back and taken in multiples of: a part of a huge page would stay until the
  // system finds time to split it.
  uint64_t page_bytes() const;
  // The multiples of them that lie wholly in `part`, which is a part of memory().
  std::span<std::byte> whole_pages(std::span<std::byte> part) const;

 private:
  void swap(Arena& other) noexcept;

  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// Addresses without memory: touching them faults. Weights that are not resident point into one, so
// that a read nobody planned stops the process instead of computing with garbage.
class AddressReservation {
 public:
  AddressReservation() = default;
  static Result<AddressReservation> create(uint64_t bytes);

  AddressReservation(AddressReservation&& other) noexcept;
  AddressReservation& operator=(AddressReservation&& other) noexcept;
  ~AddressReservation();

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace hypura
