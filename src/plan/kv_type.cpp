#include "plan/kv_type.h"

namespace hypura {
namespace {

constexpr double kWorthwhile = 0.1;

}  // namespace

bool quantised_kv_pays(const PlanInput& input) {
  const uint64_t needed = input.index.info().weight_bytes + input.demand.fixed_bytes;
  if (needed <= input.budget_bytes || input.demand.kv_bytes == 0) return false;
  if (input.budget_bytes < least_budget(input)) return true;
  const double missing = static_cast<double>(needed - input.budget_bytes);
  return static_cast<double>(input.demand.kv_bytes) * (1 - kQ8OfF16) >= kWorthwhile * missing;
}

}  // namespace hypura
