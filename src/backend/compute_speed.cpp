#include "backend/compute_speed.h"

#include <algorithm>
#include <cstdint>

#include "backend/cpu_backend.h"
#include "base/clock.h"
#include "base/units.h"
#include "ggml-cpp.h"
#include "ggml-cpu.h"

namespace hypura {
namespace {

constexpr int64_t kColumns = 4096;
constexpr size_t kWeightBytes = 16 * kMiB;
constexpr int kRuns = 5;  // the first ones warm up threads and pages; the fastest counts

}  // namespace

double compute_speed(int type_number, int threads) {
  const ggml_type type = static_cast<ggml_type>(type_number);
  const int64_t rows = static_cast<int64_t>(kWeightBytes / ggml_row_size(type, kColumns));
  const ggml_context_ptr context(
      ggml_init({.mem_size = 8 * ggml_tensor_overhead() + ggml_graph_overhead(),
                 .mem_buffer = nullptr,
                 .no_alloc = true}));
  ggml_tensor* weight = ggml_new_tensor_2d(context.get(), type, kColumns, rows);
  ggml_tensor* token = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, kColumns);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, ggml_mul_mat(context.get(), weight, token));

  CpuThreads pool(threads);
  const ggml_backend_ptr backend(ggml_backend_dev_init(cpu_device(), nullptr));
  if (backend == nullptr) return 0;
  ggml_backend_cpu_set_n_threads(backend.get(), threads);
  pool.serve(backend.get(), threads);
  const ggml_backend_buffer_ptr buffer(
      ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  if (buffer == nullptr) return 0;
  ggml_backend_buffer_clear(buffer.get(), 0);

  double seconds = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double start = now_seconds();
    if (ggml_backend_graph_compute(backend.get(), graph) != GGML_STATUS_SUCCESS) return 0;
    const double took = now_seconds() - start;
    seconds = run == 0 ? took : std::min(seconds, took);
  }
  return seconds > 0 ? static_cast<double>(ggml_nbytes(weight)) / seconds : 0;
}

}  // namespace hypura
