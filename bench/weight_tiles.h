#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "random.h"
#include "tensor_list.h"

namespace hypura {

// Draws quantised random rows at the speed of memory. Quantising gigabytes would take minutes; so a
// few thousand tiles of up to 256 gaussian weights are quantised once for each type and scale, and
// a row is a random sequence of them. A row of eight tiles has 4096^8 values: no two rows, and so
// no two experts, are equal in practice. Not for use from two threads.
class WeightTiles {
 public:
  explicit WeightTiles(uint64_t seed) : seed_(seed) {}

  // Fills `row`, one of the rows of a tensor of `spec`, gaussian with its scale.
  void fill_row(const TensorSpec& spec, Random& random, std::span<std::byte> row);

  // The row of zeros, which is not zero bytes in every type.
  void fill_zero_row(const TensorSpec& spec, std::span<std::byte> row) const;

 private:
  struct Pool {
    size_t tile_bytes = 0;
    std::vector<std::byte> tiles;
  };

  const Pool& pool(const TensorSpec& spec, bool steady);

  uint64_t seed_;
  std::map<std::tuple<ggml_type, float, int64_t, bool>, Pool> pools_;
};

}  // namespace hypura
