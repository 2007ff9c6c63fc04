#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "residency/arena.h"
#include "residency/reader.h"

namespace hypura {

struct DenseRingStats {
  uint64_t hits = 0;    // the piece was ready when it was asked for
  uint64_t misses = 0;
  uint64_t resyncs = 0;  // the prediction was wrong
};

// Streams dense pieces through a few slots, ahead of use and across token boundaries. It predicts
// that pieces are used in the order they were used last time; whoever asks for another piece makes
// it resync, at the price of the reads under way.
// Invariants: window_ holds the scheduled slots in predicted order; a slot is in window_, leased,
// free, or (after a resync) an orphan whose read has to end first.
// Confined to one thread at a time. The reader outlives the ring.
class DenseRing final : public LoadSink {
 public:
  // A piece in use. Its destructor gives the slot back and lets the ring read on.
  class PieceLease {
   public:
    PieceLease() = default;
    PieceLease(DenseRing& ring, uint32_t slot) : ring_(&ring), slot_(slot) {}
    PieceLease(PieceLease&& other) noexcept : ring_(other.ring_), slot_(other.slot_) {
      other.ring_ = nullptr;
    }
    PieceLease& operator=(PieceLease&& other) noexcept {
      if (this != &other) {
        release();
        ring_ = other.ring_;
        slot_ = other.slot_;
        other.ring_ = nullptr;
      }
      return *this;
    }
    ~PieceLease() { release(); }

    // The piece's first byte.
    std::byte* data() const { return ring_->slots_[slot_].data; }

   private:
    void release() {
      if (ring_ != nullptr) ring_->release(slot_);
      ring_ = nullptr;
    }
    DenseRing* ring_ = nullptr;
    uint32_t slot_ = 0;
  };

  // `pieces` in the first order to predict; behind them `spare` ones, which are not predicted
  // before they are expected. REQUIRES: slots >= 2, not all pieces spare, every piece fits
  // slot_bytes when widened.
  static Result<std::unique_ptr<DenseRing>> create(Reader& reader, std::vector<FileRange> pieces,
                                                   uint32_t slots, uint64_t slot_bytes,
                                                   uint32_t spare = 0);
  ~DenseRing() override;  // waits for reads into its memory

  // Whether the next acquire of `piece` would not wait.
  bool ready(uint32_t piece) const;
  // The piece, once its bytes are there. REQUIRES: fewer than slots() - 1 pieces are leased.
  Result<PieceLease> acquire(uint32_t piece);
  // Pieces first .. first + count - 1 will be used behind `after`.
  void expect(uint32_t first, uint32_t count, uint32_t after);
  uint32_t leased() const { return leased_; }
  uint32_t slots() const { return static_cast<uint32_t>(slots_.size()); }
  std::span<std::byte> memory() const { return memory_.memory(); }

  // Ends all streaming and lends the whole memory, for a tensor that is needed in one piece.
  // nullptr when it is smaller than `bytes`. The next acquire takes it back.
  // REQUIRES: nothing is leased.
  std::byte* borrow_memory(uint64_t bytes);

  const DenseRingStats& stats() const { return stats_; }

 private:
  enum class State : uint8_t { free, loading, ready, failed };
  struct Slot {
    uint32_t piece = 0;
    State state = State::free;
    bool orphan = false;
    std::byte* data = nullptr;
    Status error;
  };

  DenseRing(Reader& reader, std::vector<FileRange> pieces, Arena memory, uint32_t slots,
            uint64_t slot_bytes, uint32_t spare);

  void release(uint32_t slot);
  void on_loaded(uint32_t slot, const Status& status) override;
  void schedule_ahead();
  void schedule(uint32_t piece, ReadClass read_class);
  void drop_front();
  // Position of `piece` in the window.
  std::optional<uint32_t> position(uint32_t piece) const;
  uint32_t window_slot(uint32_t position) const {
    return window_[(window_front_ + position) % window_.size()];
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  Reader& reader_;
  std::vector<FileRange> pieces_;
  std::vector<uint32_t> next_;  // by piece: the piece used after it last time
  Arena memory_;
  uint64_t slot_bytes_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> window_;  // a circular queue of slots
  uint32_t window_front_ = 0;
  uint32_t window_count_ = 0;
  uint32_t leased_ = 0;
  uint32_t last_used_ = kNone;       // piece
  uint32_t last_scheduled_ = kNone;  // piece
  uint32_t sink_;
  DenseRingStats stats_;
};

}  // namespace hypura
