#include "plan/budget.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/units.h"

namespace hypura {

Result<RamBudget> parse_ram_budget(std::string_view text, std::string_view where) {
  if (text == "auto") return RamBudget{};
  if (text == "min") return RamBudget{.kind = RamBudget::Kind::minimum};
  if (text.ends_with('%')) {
    double percent = 0;
    const char* end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, percent);
    if (error == std::errc{} && stop == end && std::isfinite(percent) && percent > 0 &&
        percent <= 10000) {
      return RamBudget{.kind = RamBudget::Kind::percent, .percent = percent};
    }
  } else if (const std::optional<uint64_t> bytes = parse_bytes(text); bytes && *bytes > 0) {
    return RamBudget{.kind = RamBudget::Kind::bytes, .bytes = *bytes};
  }
  return Status(StatusCode::invalid_argument,
                fmt::format("{} {}: not a size, a share or a word", where, text))
      .suggest("8G, 40% (of the model's weights), auto or min");
}

Result<GpuBudget> parse_gpu_budget(std::string_view text) {
  if (text == "auto") return GpuBudget{};
  if (const std::optional<uint64_t> bytes = parse_bytes(text)) {
    if (*bytes == 0) return GpuBudget{.kind = GpuBudget::Kind::none};
    return GpuBudget{.kind = GpuBudget::Kind::bytes, .bytes = *bytes};
  }
  return Status(StatusCode::invalid_argument,
                fmt::format("--gpu-budget {}: neither a size nor a word", text))
      .suggest("8G, auto, or 0 to leave the GPU alone");
}

uint64_t resolve(const RamBudget& budget, const BudgetBytes& bytes) {
  switch (budget.kind) {
    case RamBudget::Kind::bytes:
      return budget.bytes;
    case RamBudget::Kind::percent:
      return static_cast<uint64_t>(static_cast<double>(bytes.weights) * budget.percent / 100);
    case RamBudget::Kind::minimum:
      return bytes.minimum;
    case RamBudget::Kind::automatic:
      break;
  }
  return bytes.automatic;
}

}  // namespace hypura
