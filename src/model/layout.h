#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace hypura {

// Where the plan keeps a tensor's slices.
enum class Home : uint8_t {
  unused,    // no graph asked for it; read only if one does after all
  pinned,    // resident from open() to close()
  repacked,  // the same, but in memory and an order of ggml's own, whose kernels compute other bits
  stream,    // passes through the dense ring, in pieces of whole rows
  experts,   // slots of a pool, one slice per expert
  rows,      // single rows on demand (embedding look-ups)
};

struct TensorHome {
  Home home = Home::unused;
  // stream: rows of ne[1] a piece holds; the last may hold fewer. pinned: the same, should it come
  // to stream after all; 0 if it has to stay.
  int64_t piece_rows = 0;
  uint32_t pool = 0;       // experts: index into Layout::pools
  uint32_t row_slots = 0;  // rows, or stream: cached rows for look-ups; 0 if nobody looks any up
};

// The next layer's experts are guessed where a pool has so many slots for each that a token uses:
// in a smaller one a wrong guess evicts one of its own.
inline constexpr uint32_t kSlotsToGuess = 2;

// Expert slices that share slots.
struct PoolLayout {
  uint64_t slice_bytes = 0;  // all alike, but in transit: the largest
  uint32_t slots = 0;
  // Slots lie exactly slice_bytes apart, so that the pool looks like a contiguous tensor; costs a
  // copy after each read. Otherwise reads land in place.
  bool packed = false;
  std::vector<TensorId> tensors;
};

// How a model's tensors are cut into slices, where each has its home, and the memory that takes.
// A value: the plan makes it, residency carries it out.
struct Layout {
  std::vector<TensorHome> homes;  // by TensorId
  std::vector<PoolLayout> pools;
  // Slots beside the pools. A batch that routes to more experts than a pool has slots reads ahead
  // into them, while those of the pool are in use.
  std::vector<PoolLayout> transits;
  uint32_t ring_slots = 0;
  uint64_t ring_slot_bytes = 0;  // holds the largest piece, widened for direct I/O

  // Memory, as residency will allocate it.
  uint64_t pinned_bytes = 0;
  uint64_t ring_bytes = 0;
  uint64_t pool_bytes = 0;
  uint64_t transit_bytes = 0;
  uint64_t row_bytes = 0;
  uint64_t staging_bytes = 0;  // where reads land that are copied to their slot
  uint64_t table_bytes = 0;
  uint64_t repacked_bytes = 0;  // beside all of these: residency has no part in it
  uint64_t total_bytes() const {
    return pinned_bytes + ring_bytes + pool_bytes + transit_bytes + row_bytes + staging_bytes +
           table_bytes;
  }
};

// Direct I/O reads whole blocks of this size; a slice may start and end anywhere inside one.
inline constexpr uint64_t kBlockBytes = 4096;

// Reads in flight into one packed pool at most.
inline constexpr uint32_t kStagingSlotsMax = 16;

// Memory to read `bytes` at any file offset in place.
constexpr uint64_t widened_bytes(uint64_t bytes) {
  return (bytes + 2 * kBlockBytes - 2) / kBlockBytes * kBlockBytes;
}

}  // namespace hypura
