#pragma once

#include <string>

#include "base/status.h"
#include "cli/run_options.h"

namespace hypura::cli {

// "q8_0", and back; GGML_TYPE_COUNT if there is no such type.
std::string kv_type_text(ggml_type type);
ggml_type kv_type_of(const std::string& text);

// Carries out --kv-type auto on this machine: Q8_0 where memory is tight and the model can have it
// (plan/kv_type.h), which is said on stderr. Errors: those of measuring the model.
Status settle_kv_type(RunOptions& options);

// The same for a budget and machine that the caller knows; `measured` is measured anew if the type
// changed.
Status settle_kv_type(EngineOptions& options, uint64_t budget_bytes, MeasuredModel& measured);

}  // namespace hypura::cli
