// Any bytes as a saved plan: the reader must answer, and what it accepts can be carried out and
// comes back as it was.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "plan/plan_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  const Result<SavedPlan> plan =
      parse_plan(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!plan.ok()) return 0;
  HYPURA_CHECK(plan->budget_bytes > 0);
  HYPURA_CHECK(plan->context > 0);
  HYPURA_CHECK(plan->micro_batch > 0);
  HYPURA_CHECK(plan->mode != Mode::automatic);
  HYPURA_CHECK(std::isfinite(plan->decode_tps));
  const Result<SavedPlan> again = parse_plan(to_json(*plan));
  HYPURA_CHECK(again.ok());
  HYPURA_CHECK(again->choice == plan->choice);
  HYPURA_CHECK(again->budget_bytes == plan->budget_bytes);
  return 0;
}
