#include "cli/plan/kv_type.h"

#include <fmt/format.h>

#include "base/units.h"
#include "cli/terminal.h"
#include "engine/llama_log.h"
#include "plan/kv_type.h"

namespace hypura::cli {

std::string kv_type_text(ggml_type type) { return ggml_type_name(type); }

ggml_type kv_type_of(const std::string& text) {
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const ggml_type type = static_cast<ggml_type>(i);
    const char* name = ggml_type_name(type);
    if (name != nullptr && text == name) return type;
  }
  return GGML_TYPE_COUNT;
}

Status settle_kv_type(EngineOptions& options, uint64_t budget_bytes, MeasuredModel& measured) {
  const MachineProfile machine;
  const bool least = options.ram_budget.kind == RamBudget::Kind::minimum;
  if (!least && !quantised_kv_pays({.index = measured.index,
                                    .demand = measured.demand,
                                    .machine = machine,
                                    .budget_bytes = budget_bytes})) {
    return Status();
  }
  EngineOptions smaller = options;
  smaller.params.cache_type_k = smaller.params.cache_type_v = GGML_TYPE_Q8_0;
  Result<MeasuredModel> again = Engine::measure_model(smaller);
  if (!again.ok()) {
    write_note(fmt::format("note: memory is tight, but this model cannot have a KV cache of q8_0 "
                           "({}): it stays f16\n",
                           again.status().message()));
    return Status();
  }
  options.params.cache_type_k = options.params.cache_type_v = GGML_TYPE_Q8_0;
  write_note(fmt::format("note: memory is tight: a KV cache of q8_0, {} and not {}; other bits "
                         "than f16\n",
                         format_bytes(again->demand.kv_bytes),
                         format_bytes(measured.demand.kv_bytes)));
  measured = *std::move(again);
  return Status();
}

Status settle_kv_type(RunOptions& options) {
  if (!options.kv_type_auto) return Status();
  quiet_llama_log(false);
  Result<MeasuredModel> measured = Engine::measure_model(options.engine);
  if (!measured.ok()) return measured.status();
  return settle_kv_type(options.engine, measured->budget_bytes, *measured);
}

}  // namespace hypura::cli
