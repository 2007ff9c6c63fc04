#pragma once

#include "base/status.h"
#include "ggml-backend.h"
#include "plan/budget.h"

namespace hypura {

// Our device for the host program's ggml. Every model the host maps is streamed within `budget`,
// each within its own. A budget that is an error refuses every load: without one, a model larger
// than the RAM would take the machine down. Once per process.
ggml_backend_reg_t plugin_registry(Result<RamBudget> budget);

}  // namespace hypura
