#include "residency/loose_weights.h"

#include <bit>
#include <utility>

#include "base/check.h"
#include "residency/arena.h"

namespace hypura {
namespace {

// 0 .. count - 1 by their bits from the last to the first: any first part of them is spread evenly.
std::vector<uint32_t> spread(uint32_t count) {
  const uint32_t bits = static_cast<uint32_t>(std::bit_width(count));
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < (1U << bits); ++i) {
    uint32_t reversed = 0;
    for (uint32_t bit = 0; bit < bits; ++bit) reversed |= (i >> bit & 1U) << (bits - 1 - bit);
    if (reversed < count) order.push_back(reversed);
  }
  return order;
}

}  // namespace

LooseWeights::LooseWeights(Reader& reader, DenseRing& ring, std::vector<DenseWeight> in_order)
    : reader_(reader), ring_(ring), weights_(std::move(in_order)) {
  std::vector<uint32_t> pinned;
  for (uint32_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i].streamed) continue;
    pinned.push_back(i);
    bytes_most_ += weights_[i].pages.size();
  }
  HYPURA_CHECK(pinned.size() < weights_.size());
  for (const uint32_t i : spread(static_cast<uint32_t>(pinned.size()))) going_.push_back(pinned[i]);
  bytes_now_ = bytes_most_;
}

uint64_t LooseWeights::step_bytes() const {
  return gone_ == 0 ? 0 : weights_[going_[gone_ - 1]].pages.size();
}

void LooseWeights::resize(uint64_t bytes, std::vector<TensorId>& moved) {
  while (bytes_now_ > bytes && gone_ < going_.size()) {
    DenseWeight& weight = weights_[going_[gone_]];
    give_up(weight);
    ++gone_;
    bytes_now_ -= weight.pages.size();
    moved.push_back(weight.id);
  }
  while (gone_ > 0 && bytes_now_ + step_bytes() <= bytes) {
    DenseWeight& weight = weights_[going_[gone_ - 1]];
    if (!read_back(weight)) return;
    --gone_;
    bytes_now_ += weight.pages.size();
    moved.push_back(weight.id);
  }
}

void LooseWeights::give_up(DenseWeight& weight) {
  ring_.expect(weight.first_piece, weight.pieces, piece_before(weight));
  weight.streamed = true;
  give_back(weight.pages);
}

// Blocks at its ends that it shares with its neighbours get the bytes that they have.
bool LooseWeights::read_back(DenseWeight& weight) {
  if (!make_present(weight.pages)) return false;
  if (!reader_.read_now(weight.range, weight.data - reader_.lead(weight.range)).ok()) {
    give_back(weight.pages);
    return false;
  }
  weight.streamed = false;
  return true;
}

// The last piece that is used in front of it, in this token or in the one before.
uint32_t LooseWeights::piece_before(const DenseWeight& weight) const {
  const size_t count = weights_.size();
  const size_t at = static_cast<size_t>(&weight - weights_.data());
  for (size_t back = 1; back < count; ++back) {
    const DenseWeight& other = weights_[(at + count - back) % count];
    if (other.streamed) return other.first_piece + other.pieces - 1;
  }
  return weight.first_piece + weight.pieces - 1;
}

}  // namespace hypura
