#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hypura {

// How often experts of one MoE layer were followed by experts of the next: what a model's routers
// do together, learnt while it runs. Counts are bytes; a row is halved when one of them is full, so
// that it follows the text. Holds layers * experts^2 bytes.
class Coactivation {
 public:
  Coactivation(uint32_t layers, uint32_t experts);
  static uint64_t memory_bytes(uint32_t layers, uint32_t experts);

  uint32_t layers() const { return layers_; }
  uint32_t experts() const { return experts_; }

  // A token went through `from` in `layer` and `to` in the next MoE layer.
  // REQUIRES: layer < layers(), experts in range.
  void observe(uint32_t layer, std::span<const int32_t> from, std::span<const int32_t> to);
  // The `count` experts that followed `from` most, the likeliest first; fewer if fewer ever did.
  void rank(uint32_t layer, std::span<const int32_t> from, size_t count,
            std::vector<int32_t>& ranked);

  // The counts, to be kept and given back to a table of the same shape.
  std::span<const uint8_t> counts() const { return counts_; }
  std::span<uint8_t> counts() { return counts_; }

 private:
  std::span<uint8_t> row(uint32_t layer, int32_t expert);

  uint32_t layers_;
  uint32_t experts_;
  std::vector<uint8_t> counts_;  // [layer][from][to]
  std::vector<uint32_t> sums_;   // scratch of rank()
};

}  // namespace hypura
