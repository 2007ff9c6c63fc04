#pragma once

#include <cstdint>

struct ggml_cgraph;

namespace hypura {

// Size of the work buffer that ggml's CPU backend takes for a graph. Linked only where the CPU
// backend is: its registry does not name this function.
uint64_t cpu_work_bytes(const ggml_cgraph* graph, int threads);

}  // namespace hypura
