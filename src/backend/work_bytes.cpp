#include "backend/work_bytes.h"

#include "ggml-cpu.h"

namespace hypura {

uint64_t cpu_work_bytes(const ggml_cgraph* graph, int threads) {
  return ggml_graph_plan(graph, threads, nullptr).work_size;
}

}  // namespace hypura
