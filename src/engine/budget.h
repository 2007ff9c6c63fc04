#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace hypura {

// What the user wrote after --ram-budget.
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

// "auto", "min", "61%", "8G". Errors: invalid_argument.
Result<RamBudget> parse_ram_budget(std::string_view text);

}  // namespace hypura
