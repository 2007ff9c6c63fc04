#include "residency/arena.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/units.h"

namespace hypura {
namespace {

// 16 KiB on Apple silicon, where a part of a page can be neither unmapped nor given back.
const uint64_t kPage = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
constexpr uint64_t kHugePage = 2 * kMiB;

Status out_of_memory(uint64_t bytes) {
  return Status(StatusCode::failed, fmt::format("cannot map {} of memory: {}", format_bytes(bytes),
                                                std::strerror(errno)))
      .suggest("a smaller --ram-budget, or free memory");
}

constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

std::byte* map(uint64_t bytes, int protection) {
  void* address = mmap(nullptr, bytes, protection, kAnonymous, -1, 0);
  return address == MAP_FAILED ? nullptr : static_cast<std::byte*>(address);
}

}  // namespace

bool make_present(std::span<std::byte> memory) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(memory.data(), memory.size(), MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
#endif
  for (uint64_t at = 0; at < memory.size(); at += kPage) {
    // An addition of nothing keeps what somebody may have just read into the page.
    std::atomic_ref<uint8_t>(reinterpret_cast<uint8_t&>(memory[at])).fetch_add(0);
  }
  return true;
}

void give_back(std::span<std::byte> memory) {
  if (memory.empty()) return;
  // A system that does not take them leaves them to us.
#ifdef __APPLE__
  // MADV_DONTNEED keeps the pages there, and MADV_FREE keeps them ours until memory is short.
  static_cast<void>(mmap(memory.data(), memory.size(), PROT_READ | PROT_WRITE,
                         kAnonymous | MAP_FIXED, -1, 0));
#else
  static_cast<void>(madvise(memory.data(), memory.size(), MADV_DONTNEED));
#endif
}

void prefer_huge_pages(std::span<std::byte> memory) {
#ifdef MADV_HUGEPAGE
  const uintptr_t begin = reinterpret_cast<uintptr_t>(memory.data());
  const uint64_t lead = round_up(begin, kPage) - begin;
  if (memory.size() < lead + kHugePage) return;
  // Without huge pages it is only slower.
  static_cast<void>(madvise(memory.data() + lead, memory.size() - lead, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
#endif
}

Result<Arena> Arena::create(uint64_t bytes, Present present) {
  Arena arena;
  if (bytes == 0) return arena;
  bytes = round_up(bytes, kPage);
  const uint64_t alignment = bytes >= kHugePage ? kHugePage : kPage;

  // Maps one alignment too much and gives the ends back.
  std::byte* mapped = map(bytes + alignment, PROT_READ | PROT_WRITE);
  if (mapped == nullptr) return out_of_memory(bytes);
  const uint64_t head = round_up(reinterpret_cast<uintptr_t>(mapped), alignment) -
                        reinterpret_cast<uintptr_t>(mapped);
  if (head > 0) munmap(mapped, head);
  if (head < alignment) munmap(mapped + head + bytes, alignment - head);
  arena.data_ = mapped + head;
  arena.bytes_ = bytes;

  prefer_huge_pages(arena.memory());
  if (present == Present::now && !make_present(arena.memory())) return out_of_memory(bytes);
  return arena;
}

uint64_t Arena::page_bytes() const { return bytes_ >= kHugePage ? kHugePage : kPage; }

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

std::span<std::byte> Arena::whole_pages(std::span<std::byte> part) const {
  const uint64_t first = static_cast<uint64_t>(part.data() - data_);
  const uint64_t begin = round_up(first, page_bytes());
  const uint64_t end = round_down(first + part.size(), page_bytes());
  return begin < end ? std::span<std::byte>(data_ + begin, end - begin) : std::span<std::byte>();
}

void Arena::swap(Arena& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

Result<AddressReservation> AddressReservation::create(uint64_t bytes) {
  AddressReservation reservation;
  reservation.bytes_ = round_up(bytes + 1, kPage);
  reservation.data_ = map(reservation.bytes_, PROT_NONE);
  if (reservation.data_ == nullptr) return out_of_memory(bytes);
  return reservation;
}

AddressReservation::AddressReservation(AddressReservation&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

AddressReservation& AddressReservation::operator=(AddressReservation&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

AddressReservation::~AddressReservation() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace hypura
