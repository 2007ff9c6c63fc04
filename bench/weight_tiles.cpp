#include "weight_tiles.h"

#include <cstring>
#include <numeric>

#include "base/check.h"

namespace hypura {
namespace {

constexpr int64_t kTileWeightsMax = 256;  // the largest block of a ggml type
constexpr uint32_t kTiles = 4096;
constexpr uint32_t kTilesOfSlowTypes = 512;  // those with a code book take 10 us a weight

uint32_t tile_count(ggml_type type) {
  return ggml_quantize_requires_imatrix(type) ? kTilesOfSlowTypes : kTiles;
}

void quantize(ggml_type type, const std::vector<float>& values, int64_t cols,
              std::span<std::byte> out) {
  if (type == GGML_TYPE_F32) {
    std::memcpy(out.data(), values.data(), out.size());
    return;
  }
  const std::vector<float> importance(static_cast<size_t>(cols), 1.0f);
  const int64_t rows = static_cast<int64_t>(values.size()) / cols;
  const size_t written =
      ggml_quantize_chunk(type, values.data(), out.data(), 0, rows, cols, importance.data());
  HYPURA_CHECK(written == out.size());
}

}  // namespace

void WeightTiles::fill_row(const TensorSpec& spec, Random& random, std::span<std::byte> row) {
  const Pool* tiles = &pool(spec, spec.steady_channel);
  for (size_t at = 0; at < row.size(); at += tiles->tile_bytes) {
    const size_t index = random.below(tile_count(spec.type));
    std::memcpy(row.data() + at, tiles->tiles.data() + index * tiles->tile_bytes,
                tiles->tile_bytes);
    if (at == 0) tiles = &pool(spec, false);
  }
}

void WeightTiles::fill_zero_row(const TensorSpec& spec, std::span<std::byte> row) const {
  quantize(spec.type, std::vector<float>(static_cast<size_t>(spec.cols), 0.0f), spec.cols, row);
}

const WeightTiles::Pool& WeightTiles::pool(const TensorSpec& spec, bool steady) {
  // A power of two that divides the row: at least a block, since the row consists of blocks.
  const int64_t weights = std::gcd(spec.cols, kTileWeightsMax);
  const auto [found, is_new] = pools_.try_emplace({spec.type, spec.scale, weights, steady});
  Pool& pool = found->second;
  if (!is_new) return pool;

  Random random(seed_ + pools_.size());
  std::vector<float> values(static_cast<size_t>(weights) * tile_count(spec.type));
  for (size_t i = 0; i < values.size(); ++i) {
    const bool first = i % static_cast<size_t>(weights) == 0;
    values[i] = steady && first ? 1.0f : spec.scale * random.gaussian();
  }
  pool.tile_bytes = ggml_row_size(spec.type, weights);
  pool.tiles.resize(pool.tile_bytes * tile_count(spec.type));
  quantize(spec.type, values, weights, pool.tiles);
  return pool;
}

}  // namespace hypura
