#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace hypura {

// Of what the machine has available, `auto` leaves the rest of this share to others.
inline constexpr double kAutoShare = 0.95;

// What the user wrote after --ram-budget, or in a variable with the same syntax.
struct RamBudget {
  enum class Kind : uint8_t {
    automatic,  // what the machine has available
    minimum,    // the least that works
    bytes,
    percent,  // of the file's weights
  };
  Kind kind = Kind::automatic;
  uint64_t bytes = 0;
  double percent = 0;

  bool is_explicit() const { return kind != Kind::automatic; }
};

// "auto", "min", "61%", "8G". Errors: invalid_argument, which says where it was written.
Result<RamBudget> parse_ram_budget(std::string_view text, std::string_view where = "--ram-budget");

// What the user wrote after --gpu-budget: memory of the GPU for weights, KV and activations.
struct GpuBudget {
  enum class Kind : uint8_t {
    automatic,
    none,
    bytes,
    at_most,  // nobody's wish: what is left to try where more could not be had
  };
  Kind kind = Kind::automatic;
  uint64_t bytes = 0;
};

// "auto", "0", "8G". Errors: invalid_argument.
Result<GpuBudget> parse_gpu_budget(std::string_view text);

// Bytes of GPUs that have `free_bytes`, each less what its driver takes; 0 where there are none.
// Error: does_not_fit, where more is asked for.
Result<uint64_t> resolve(const GpuBudget& budget, std::span<const uint64_t> free_bytes);

// Each GPU's part of `bytes`, which resolve() gave, by what it could give.
std::vector<uint64_t> split_gpu_budget(uint64_t bytes, std::span<const uint64_t> free_bytes);

// The bytes of an automatic or minimum budget are found elsewhere.
struct BudgetBytes {
  uint64_t weights = 0;
  uint64_t automatic = 0;
  uint64_t minimum = 0;
};
uint64_t resolve(const RamBudget& budget, const BudgetBytes& bytes);

}  // namespace hypura
