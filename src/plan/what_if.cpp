#include "plan/what_if.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/units.h"
#include "plan/kv_type.h"

namespace hypura {
namespace {

constexpr std::string_view kRam = "-ram";
constexpr std::string_view kRate = "GB/s";
constexpr double kRateMax = 1000;
// A hint is worth a line from here on.
constexpr double kWorthwhile = 1.1;
constexpr uint32_t kMicroBatchFactor = 4;
constexpr uint32_t kUsualBatch = 2048;  // llama.cpp's -b, beyond which -ub does nothing

Result<WhatIf> parse_change(std::string_view text) {
  const Status refused =
      Status(StatusCode::invalid_argument, fmt::format("--what-if {}: no such change", text))
          .suggest("+16G-ram, -4G-ram, 64G-ram, 7GB/s, with commas between them");
  WhatIf change;
  if (text.ends_with(kRate)) {
    const std::string_view number = text.substr(0, text.size() - kRate.size());
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), change.gbps);
    if (error != std::errc() || end != number.data() + number.size()) return refused;
    if (!std::isfinite(change.gbps) || change.gbps <= 0 || change.gbps > kRateMax) return refused;
    change.kind = WhatIf::Kind::drive_is;
    return change;
  }
  if (!text.ends_with(kRam)) return refused;
  text.remove_suffix(kRam.size());
  change.kind = WhatIf::Kind::ram_is;
  if (text.starts_with('+')) change.kind = WhatIf::Kind::ram_more;
  if (text.starts_with('-')) change.kind = WhatIf::Kind::ram_less;
  if (change.kind != WhatIf::Kind::ram_is) text.remove_prefix(1);
  const std::optional<uint64_t> bytes = parse_bytes(text);
  if (!bytes.has_value() || *bytes == 0) return refused;
  change.bytes = *bytes;
  return change;
}

}  // namespace

Result<std::vector<WhatIf>> parse_what_if(std::string_view text) {
  std::vector<WhatIf> changes;
  while (true) {
    const size_t comma = text.find(',');
    Result<WhatIf> change = parse_change(text.substr(0, comma));
    if (!change.ok()) return change.status();
    changes.push_back(*change);
    if (comma == std::string_view::npos) return changes;
    text.remove_prefix(comma + 1);
  }
}

void apply(const std::vector<WhatIf>& changes, MachineProfile& machine, uint64_t& budget_bytes) {
  for (const WhatIf& change : changes) {
    uint64_t& total = machine.memory.total_bytes;
    switch (change.kind) {
      case WhatIf::Kind::ram_is:
        budget_bytes = saturating_subtract(budget_bytes + change.bytes, total);
        total = change.bytes;
        break;
      case WhatIf::Kind::ram_more:
        budget_bytes += change.bytes;
        total += change.bytes;
        break;
      case WhatIf::Kind::ram_less:
        budget_bytes = saturating_subtract(budget_bytes, change.bytes);
        total = saturating_subtract(total, change.bytes);
        break;
      case WhatIf::Kind::drive_is: {
        DriveProfile& drive = machine.drive;
        const double factor = drive.sequential_gbps > 0 ? change.gbps / drive.sequential_gbps : 1;
        drive.sequential_gbps = change.gbps;
        drive.scattered_gbps =
            drive.scattered_gbps > 0 ? drive.scattered_gbps * factor : change.gbps;
        for (DriveSample& sample : drive.samples) sample.gbps *= factor;
        break;
      }
    }
  }
}

std::vector<std::string> suggestions(const PlanInput& input, const Plan& plan,
                                     const Calibration& calibration) {
  std::vector<std::string> lines;
  if (!streams(plan.mode)) return lines;
  const auto with = [&](const ModelDemand& demand, uint32_t prompt_tokens) {
    return make_plan({.index = input.index,
                      .demand = demand,
                      .machine = input.machine,
                      .budget_bytes = input.budget_bytes,
                      .elastic = input.elastic,
                      .mode = input.mode,
                      .gpu_bytes = input.gpu_bytes,
                      .may_copy_experts = input.may_copy_experts,
                      .heat = input.heat,
                      .work = {.kv_tokens = input.work.kv_tokens,
                               .prompt_tokens = prompt_tokens,
                               .prefetch = input.work.prefetch,
                               .heat = input.work.heat}});
  };
  // A prompt reads what is missing once a micro-batch.
  const uint32_t larger = input.demand.micro_batch * kMicroBatchFactor;
  const Result<Plan> now = with(input.demand, larger);
  const ModelDemand batch = with_larger_batches(input.demand, kMicroBatchFactor);
  const Result<Plan> wide = with(batch, larger);
  if (now.ok() && wide.ok() && larger <= std::min(input.demand.context, kUsualBatch) &&
      wide->prediction.prompt_tps.middle > kWorthwhile * now->prediction.prompt_tps.middle) {
    lines.push_back(fmt::format("-ub {}: prompts of {} tokens at {:.1f} tok/s, not {:.1f}", larger,
                                larger,
                                calibration.prompt.factor * wide->prediction.prompt_tps.middle,
                                calibration.prompt.factor * now->prediction.prompt_tps.middle));
  }
  ModelDemand small = input.demand;
  const uint64_t freed =
      static_cast<uint64_t>(static_cast<double>(small.kv_bytes) * (1 - kQ8OfF16));
  small.kv_bytes -= freed;
  small.fixed_bytes -= freed;
  const Result<Plan> less_kv = with(small, input.work.prompt_tokens);
  if (less_kv.ok() &&
      less_kv->prediction.decode_tps.middle > kWorthwhile * plan.prediction.decode_tps.middle) {
    lines.push_back(
        fmt::format("-ctk q8_0 -ctv q8_0: {} less KV (if it is F16 now), {:.2f} tok/s, "
                    "not {:.2f}; other bits",
                    format_bytes(freed),
                    calibration.decode.factor * less_kv->prediction.decode_tps.middle,
                    calibration.decode.factor * plan.prediction.decode_tps.middle));
  }
  return lines;
}

}  // namespace hypura
