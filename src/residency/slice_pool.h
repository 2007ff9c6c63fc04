#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/slot_table.h"
#include "residency/arena.h"
#include "residency/reader.h"

namespace hypura {

// `count` slices, one after the other in a file: the experts of a tensor, or the rows of an
// embedding.
struct SliceSource {
  uint32_t shard = 0;
  uint64_t offset = 0;
  uint32_t count = 0;
  uint64_t slice_bytes = 0;  // 0: those of the pool
};

// What goes when a slot is needed: rows of an embedding come by recency, experts also by how often
// the router likes them.
enum class Eviction : uint8_t { lru, use_rate };

struct SlicePoolOptions {
  uint64_t slice_bytes = 0;  // the most; all have so many where slots are packed
  uint32_t slots = 0;
  bool packed = false;  // slots lie slice_bytes apart; needs staging and a copy
  uint32_t staging_slots = 0;  // packed: reads in flight at most
  Eviction eviction = Eviction::lru;
  std::vector<SliceSource> sources;
};

struct SlicePoolStats {
  uint64_t hits = 0;  // slice was ready when it was asked for
  uint64_t misses = 0;
};

// A cache of slices in equally spaced slots, so that a whole pool can pose as one tensor with
// ne[2] (or ne[1]) = slots_max(). A slot's bytes count only once the slice is ready.
// Slots at the end can be given up while it is used, and taken back.
// Confined to one thread at a time. The reader outlives the pool; leases must not outlive it.
class SlicePool final : public LoadSink {
 public:
  // Memory that create() will allocate: slots and staging.
  static uint64_t memory_bytes(uint64_t slice_bytes, uint32_t slots, bool packed);
  static uint64_t staging_bytes(uint64_t slice_bytes, uint32_t staging_slots);

  static Result<std::unique_ptr<SlicePool>> create(Reader& reader, const SlicePoolOptions& options);
  ~SlicePool() override;  // waits for reads into its memory

  // Slots that loads may take.
  uint32_t slots() const { return table_.capacity(); }
  // All slots: what the pool poses with, as leases may be on slots that are given up.
  uint32_t slots_max() const { return table_.slot_count(); }
  // Gives slots up, or takes them back, to have the first `slots`. Never blocks: memory of slots
  // that are leased or loading follows with give_back_ended(). Growing takes the pages before they
  // are used; without memory for them it stays as it is. REQUIRES: 0 < slots <= slots_max().
  void set_slots(uint32_t slots);
  void give_back_ended();
  // Memory that `slots` take, in the pages that are given back and taken.
  uint64_t paged_bytes(uint32_t slots) const;
  // The most slots that take no more.
  uint32_t slots_in(uint64_t bytes) const;
  // A slot more takes at most so much.
  uint64_t step_bytes() const { return stride_ + memory_.page_bytes(); }
  // Memory not given back.
  uint64_t kept_bytes() const { return kept_bytes_; }
  // All slots. Not present in memory yet: see Prefaulter.
  std::span<std::byte> memory() const { return memory_.memory(); }
  uint64_t stride() const { return stride_; }
  // Address of slot 0 as `source` sees it: in place, a slice starts as deep in its slot as in its
  // disk block, which differs by source.
  std::byte* base(uint32_t source) const;

  // A lease on the slice, ready or on its way. nullopt when every slot is leased or loading.
  std::optional<Lease> request(uint32_t source, uint32_t index, ReadClass read_class);
  // A request for a slice that is missing would not have to wait for the read of another one.
  bool takes_load() const { return !packed_ || !free_staging_.empty(); }
  // Counts one use of the slice: a hit if it is ready now, else a miss. Called when the use becomes
  // known, before request(). What is kept follows from these uses.
  void count_use(uint32_t source, uint32_t index);
  bool is_ready(uint32_t source, uint32_t index) const;
  // Ready or on its way.
  bool holds(uint32_t source, uint32_t index) const;
  bool has_empty_slot() const { return table_.has_empty_slot(); }
  uint32_t loading() const { return loading_; }  // slots
  bool ready(const Lease& lease) const { return table_.state(lease.slot()) == SlotState::ready; }
  // Its read failed: wait() has the reason.
  bool failed(const Lease& lease) const { return table_.state(lease.slot()) == SlotState::failed; }
  // Waits until the leased slice is ready, or returns why it never will be.
  Status wait(const Lease& lease);

  const SlicePoolStats& stats() const { return stats_; }

 private:
  SlicePool(Reader& reader, const SlicePoolOptions& options, Arena memory, Arena staging);

  void start_load(uint32_t source, uint32_t index, SlotId slot, ReadClass read_class);
  void on_loaded(uint32_t slot, const Status& status) override;
  std::byte* slot_data(uint32_t slot) const { return memory_.data() + slot * stride_; }

  static constexpr uint32_t kNone = UINT32_MAX;

  Reader& reader_;
  uint64_t slice_bytes_;
  uint64_t stride_;
  bool packed_;
  std::vector<SliceSource> sources_;
  std::vector<uint32_t> first_key_;  // by source
  SlotTable table_;
  Arena memory_;
  uint64_t kept_bytes_;  // of it, from the first byte on
  Arena staging_;
  uint64_t staging_stride_;
  std::vector<uint32_t> free_staging_;
  struct Staged {
    uint32_t staging = kNone;
    uint64_t lead = 0;
  };
  std::vector<Staged> staged_;  // by slot, packed pools only
  uint32_t loading_ = 0;  // slots
  uint32_t sink_;
  Status last_error_;
  SlicePoolStats stats_;
};

}  // namespace hypura
