#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/layout.h"
#include "model/model_index.h"
#include "residency/arena.h"
#include "residency/dense_ring.h"
#include "residency/loose_weights.h"
#include "residency/prefaulter.h"
#include "residency/reader.h"
#include "residency/slice_pool.h"

namespace hypura {

// A tensor's place in a pool.
struct PooledTensor {
  SlicePool* pool = nullptr;
  uint32_t source = 0;
};

struct ResidencyStats {
  uint64_t bytes_read = 0;         // delivered by the device, since open
  uint64_t pinned_bytes_read = 0;  // of these, to fill the pinned tensors
  uint64_t stall_ns = 0;
  uint64_t expert_hits = 0;
  uint64_t expert_misses = 0;
  uint64_t dense_hits = 0;
  uint64_t dense_misses = 0;
};

// Memory of expert slots, and of dense weights that could stream, which is not given up: what it
// may shrink to, and what the layout gave.
struct CacheBytes {
  uint64_t least = 0;
  uint64_t now = 0;
  uint64_t most = 0;
  uint64_t step = 0;  // growing by less may change nothing
};

// Carries out a layout: owns all weight memory and everything that fills it. After create() weight
// memory never grows beyond the layout; expert slots, and then pinned dense weights where others
// stream already, are given back and taken again when told to. Confined to one thread at a time.
// The index and the device outlive it; all leases die before it.
class Residency {
 public:
  static Result<std::unique_ptr<Residency>> create(const ModelIndex& index, Layout layout,
                                                   BlockDevice& device);

  // Fills the pinned tensors. `progress` gets bytes done and bytes to do; false from it cancels.
  Status load_pinned(const std::function<bool(uint64_t, uint64_t)>& progress);

  const Layout& layout() const { return layout_; }
  Home home(TensorId tensor) const { return layout_.homes[tensor.value].home; }

  // First byte of a pinned tensor; nullptr for other homes.
  std::byte* pinned(TensorId tensor) const { return pinned_[tensor.value]; }

  // Rows [first, first + count) of a streamed tensor make up one piece of the ring.
  struct Piece {
    uint32_t index = 0;  // in the ring
    int64_t first_row = 0;
    int64_t rows = 0;
  };
  uint32_t piece_count(TensorId tensor) const;
  Piece piece(TensorId tensor, uint32_t number) const;
  // REQUIRES: some tensor is streamed.
  DenseRing& ring() { return *ring_; }

  // The model's block that the tensor belongs to.
  uint32_t layer(TensorId tensor) const {
    return static_cast<uint32_t>(std::max(0, index_.tensor(tensor).layer));
  }

  uint32_t expert_count(TensorId tensor) const { return index_.tensor(tensor).expert_count; }

  // REQUIRES: the tensor's home is experts.
  PooledTensor experts(TensorId tensor) const { return experts_[tensor.value]; }
  // Slots beside the tensor's pool, which experts of a batch pass through. Without a pool if the
  // layout has none.
  PooledTensor transit(TensorId tensor) const { return passing_[tensor.value]; }
  // The tensor's cached rows, one source of its own pool. nullptr if the layout gives it none.
  SlicePool* rows(TensorId tensor) const { return row_pools_[tensor.value].get(); }

  // Reads a whole tensor into the ring's memory, for uses that nothing finer serves. Valid until
  // the ring is next acquired from. REQUIRES: nothing is leased from the ring.
  Result<std::byte*> load_whole(TensorId tensor);

  CacheBytes cache_bytes() const;
  // Shrinks or grows to `bytes` all in all, as far as whole slots, pages and weights allow and
  // within least and most. Experts go first and come back last: each pool keeps what one token
  // routes to, and the same share of its other slots. Leased and loading slots stay until they end;
  // call give_back_ended() from time to time. Returns the dense weights that are pinned no longer,
  // or again. REQUIRES: nothing of the ring is leased; load_pinned() was called.
  std::vector<TensorId> set_cache_bytes(uint64_t bytes);
  void give_back_ended();

  // Copies bytes of a tensor from the file, whatever its home. Slow; for inspection.
  Status read_bytes(TensorId tensor, uint64_t offset, std::byte* destination, uint64_t bytes);

  // All that weights and caches lie in.
  std::vector<std::span<std::byte>> memory() const;
  // Of it, what is never given back: the ring, and slots that experts pass through.
  std::vector<std::span<std::byte>> fixed_memory() const;

  Reader& reader() { return reader_; }
  ResidencyStats stats() const;

 private:
  Residency(const ModelIndex& index, Layout layout, Reader reader);
  Status build();
  Status build_pools();
  Status build_pool(const PoolLayout& pool, Eviction eviction,
                    std::vector<std::unique_ptr<SlicePool>>& pools,
                    std::vector<PooledTensor>& places);
  Status build_rows();
  Status build_ring();
  Status build_pinned();
  void find_loose_weights();
  bool used_before(TensorId a, TensorId b) const;
  std::vector<TensorId> by_use(bool loose) const;
  uint32_t least_slots(const SlicePool& pool) const;
  void set_pool_bytes(uint64_t bytes);

  const ModelIndex& index_;
  Layout layout_;
  Reader reader_;
  Arena pinned_memory_;
  std::vector<std::byte*> pinned_;       // by tensor
  std::vector<uint32_t> first_piece_;    // by tensor
  std::vector<PooledTensor> experts_;    // by tensor
  std::vector<PooledTensor> passing_;    // by tensor: in transit
  std::vector<std::unique_ptr<SlicePool>> row_pools_;  // by tensor
  std::vector<std::unique_ptr<SlicePool>> pools_;
  std::vector<std::unique_ptr<SlicePool>> transits_;
  std::unique_ptr<DenseRing> ring_;
  std::unique_ptr<LooseWeights> loose_;  // null where no dense weight may go
  std::unique_ptr<Prefaulter> prefaulter_;  // ends before the memory it touches
  uint64_t pinned_bytes_read_ = 0;
};

}  // namespace hypura
