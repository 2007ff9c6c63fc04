#include "residency/dense_ring.h"

#include <utility>

#include "base/check.h"
#include "model/layout.h"

namespace hypura {

Result<std::unique_ptr<DenseRing>> DenseRing::create(Reader& reader, std::vector<FileRange> pieces,
                                                     uint32_t slots, uint64_t slot_bytes,
                                                     uint32_t spare) {
  HYPURA_CHECK(slots >= 2);
  HYPURA_CHECK(pieces.size() > spare);
  for (const FileRange& piece : pieces) HYPURA_CHECK(widened_bytes(piece.bytes) <= slot_bytes);
  Result<Arena> memory = Arena::create(slots * slot_bytes);
  if (!memory.ok()) return memory.status();
  return std::unique_ptr<DenseRing>(
      new DenseRing(reader, std::move(pieces), *std::move(memory), slots, slot_bytes, spare));
}

DenseRing::DenseRing(Reader& reader, std::vector<FileRange> pieces, Arena memory, uint32_t slots,
                     uint64_t slot_bytes, uint32_t spare)
    : reader_(reader),
      pieces_(std::move(pieces)),
      next_(pieces_.size()),
      memory_(std::move(memory)),
      slot_bytes_(slot_bytes),
      slots_(slots),
      window_(slots),
      sink_(reader.add_sink(*this)) {
  const uint32_t predicted = static_cast<uint32_t>(pieces_.size()) - spare;
  for (uint32_t piece = 0; piece < pieces_.size(); ++piece) next_[piece] = (piece + 1) % predicted;
  free_.reserve(slots);
  for (uint32_t slot = slots; slot > 0; --slot) free_.push_back(slot - 1);
}

DenseRing::~DenseRing() {
  while (window_count_ > 0) drop_front();
  while (free_.size() + leased_ < slots_.size()) reader_.wait_one();
}

bool DenseRing::ready(uint32_t piece) const {
  const std::optional<uint32_t> at = position(piece);
  return at && slots_[window_slot(*at)].state == State::ready;
}

Result<DenseRing::PieceLease> DenseRing::acquire(uint32_t piece) {
  HYPURA_CHECK(leased_ + 1 < slots_.size());
  reader_.pump();
  ready(piece) ? ++stats_.hits : ++stats_.misses;
  if (last_used_ != kNone) next_[last_used_] = piece;
  last_used_ = piece;

  std::optional<uint32_t> at = position(piece);
  if (!at || *at > 0) {
    if (window_count_ > 0) ++stats_.resyncs;
    const uint32_t skipped = at ? *at : window_count_;
    for (uint32_t i = 0; i < skipped; ++i) drop_front();
  }
  if (!at) {
    while (free_.empty()) reader_.wait_one();
    schedule(piece, ReadClass::demand);
  }

  const uint32_t slot = window_slot(0);
  if (slots_[slot].state == State::loading) reader_.promote(sink_, slot);
  schedule_ahead();
  while (slots_[slot].state == State::loading) reader_.wait_one();

  window_front_ = (window_front_ + 1) % static_cast<uint32_t>(window_.size());
  --window_count_;
  if (slots_[slot].state == State::failed) {
    slots_[slot].state = State::free;
    free_.push_back(slot);
    return slots_[slot].error;
  }
  ++leased_;
  return PieceLease(*this, slot);
}

void DenseRing::expect(uint32_t first, uint32_t count, uint32_t after) {
  if (next_[after] == first) return;  // still expected from last time
  for (uint32_t piece = first; piece + 1 < first + count; ++piece) next_[piece] = piece + 1;
  next_[first + count - 1] = next_[after];
  next_[after] = first;
}

std::byte* DenseRing::borrow_memory(uint64_t bytes) {
  HYPURA_CHECK(leased_ == 0);
  if (bytes > memory_.bytes()) return nullptr;
  while (window_count_ > 0) drop_front();
  while (free_.size() < slots_.size()) reader_.wait_one();
  last_scheduled_ = kNone;
  return memory_.data();
}

void DenseRing::release(uint32_t slot) {
  --leased_;
  slots_[slot].state = State::free;
  free_.push_back(slot);
  schedule_ahead();
}

void DenseRing::on_loaded(uint32_t slot, const Status& status) {
  Slot& entry = slots_[slot];
  if (entry.orphan) {
    entry.orphan = false;
    entry.state = State::free;
    free_.push_back(slot);
    return;
  }
  entry.state = status.ok() ? State::ready : State::failed;
  entry.error = status;
}

// Keeps the queue fed with what is predicted to come after the last scheduled piece.
void DenseRing::schedule_ahead() {
  bool scheduled = false;
  while (!free_.empty() && last_scheduled_ != kNone) {
    const uint32_t piece = next_[last_scheduled_];
    if (position(piece)) break;  // everything is in the window
    schedule(piece, ReadClass::prefetch);
    scheduled = true;
  }
  if (scheduled) reader_.pump();
}

void DenseRing::schedule(uint32_t piece, ReadClass read_class) {
  const uint32_t slot = free_.back();
  free_.pop_back();
  std::byte* buffer = memory_.data() + slot * slot_bytes_;
  slots_[slot].piece = piece;
  slots_[slot].state = State::loading;
  slots_[slot].data = buffer + reader_.lead(pieces_[piece]);
  window_[(window_front_ + window_count_) % window_.size()] = slot;
  ++window_count_;
  last_scheduled_ = piece;
  reader_.submit(sink_, slot, pieces_[piece], buffer, read_class);
}

void DenseRing::drop_front() {
  const uint32_t slot = window_slot(0);
  window_front_ = (window_front_ + 1) % static_cast<uint32_t>(window_.size());
  --window_count_;
  if (slots_[slot].state == State::loading) {
    slots_[slot].orphan = true;
    return;
  }
  slots_[slot].state = State::free;
  free_.push_back(slot);
}

std::optional<uint32_t> DenseRing::position(uint32_t piece) const {
  for (uint32_t i = 0; i < window_count_; ++i) {
    if (slots_[window_slot(i)].piece == piece) return i;
  }
  return std::nullopt;
}

}  // namespace hypura
