#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "residency/dense_ring.h"
#include "residency/reader.h"

namespace hypura {

// A dense weight that goes through the ring, or could.
struct DenseWeight {
  TensorId id;
  uint32_t first_piece = 0;  // in the ring
  uint32_t pieces = 0;
  bool streamed = false;
  // Of a pinned one: where it lies, and where in the file; the whole pages inside, which go when it
  // does.
  std::byte* data = nullptr;
  FileRange range;
  std::span<std::byte> pages;
};

// Pinned dense weights that stream for as long as others want their memory. They go in an order
// that spreads any number of them over the model, so that reads and compute alternate, and come
// back in the opposite one. Confined to one thread, like the ring and the reader, which outlive it.
class LooseWeights {
 public:
  // All dense weights in the order of use. REQUIRES: one that is pinned has pages; at least one is
  // streamed.
  LooseWeights(Reader& reader, DenseRing& ring, std::vector<DenseWeight> in_order);

  // Of pages of pinned weights: now, and when none was given up.
  uint64_t bytes_now() const { return bytes_now_; }
  uint64_t bytes_most() const { return bytes_most_; }
  // Growing by less brings none back; 0 if all are there.
  uint64_t step_bytes() const;

  const std::vector<DenseWeight>& weights() const { return weights_; }

  // Gives weights up until at most `bytes` are left, or reads back those that fit again. Appends
  // those that changed to `moved`. A weight that cannot be read stays on the drive: whoever needs
  // it is told. REQUIRES: nothing of the ring is leased.
  void resize(uint64_t bytes, std::vector<TensorId>& moved);

 private:
  void give_up(DenseWeight& weight);
  bool read_back(DenseWeight& weight);
  uint32_t piece_before(const DenseWeight& weight) const;

  Reader& reader_;
  DenseRing& ring_;
  std::vector<DenseWeight> weights_;  // in the order of use
  std::vector<uint32_t> going_;       // of weights_, pinned ones in the order they go
  size_t gone_ = 0;                   // of going_
  uint64_t bytes_now_ = 0;
  uint64_t bytes_most_ = 0;
};

}  // namespace hypura
