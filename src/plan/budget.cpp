#include "plan/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/units.h"

namespace hypura {
namespace {

// What a GPU's driver and libraries come to allocate beside buffers (CUDA's context, cuBLAS), seen
// at 300-500 MiB.
constexpr uint64_t kGpuRuntimeBytes = 512 * kMiB;

}  // namespace

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

Result<uint64_t> resolve(const GpuBudget& budget, std::span<const uint64_t> free_bytes) {
  uint64_t free = 0;
  uint64_t usable = 0;
  for (const uint64_t bytes : free_bytes) {
    free += bytes;
    usable += saturating_subtract(bytes, kGpuRuntimeBytes);
  }
  switch (budget.kind) {
    case GpuBudget::Kind::none:
      return uint64_t{0};
    case GpuBudget::Kind::automatic:
      return usable;
    case GpuBudget::Kind::at_most:
      return std::min(budget.bytes, usable);
    case GpuBudget::Kind::bytes:
      break;
  }
  if (budget.bytes <= usable) return budget.bytes;
  const std::string asked = "--gpu-budget " + format_bytes(budget.bytes);
  if (free_bytes.empty()) {
    return Status(StatusCode::does_not_fit, asked + ": there is no GPU with memory of its own")
        .suggest("--gpu-budget 0");
  }
  return Status(StatusCode::does_not_fit,
                fmt::format("{}: the GPU has {} to give", asked, format_bytes(usable)))
      .because(fmt::format("{} less {} for its driver and libraries", format_bytes(free),
                           format_bytes(kGpuRuntimeBytes * free_bytes.size())))
      .suggest("--gpu-budget auto, or a smaller one");
}

std::vector<uint64_t> split_gpu_budget(uint64_t bytes, std::span<const uint64_t> free_bytes) {
  std::vector<uint64_t> each;
  double usable = 0;
  for (const uint64_t free : free_bytes) {
    each.push_back(saturating_subtract(free, kGpuRuntimeBytes));
    usable += static_cast<double>(each.back());
  }
  for (uint64_t& part : each) {
    const double share = usable > 0 ? static_cast<double>(part) / usable : 0;
    part = std::min(part, static_cast<uint64_t>(share * static_cast<double>(bytes)));
  }
  return each;
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
