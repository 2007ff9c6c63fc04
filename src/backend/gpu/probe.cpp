#include "backend/gpu/probe.h"

#include <cstring>

#include "backend/gpu/devices.h"
#include "base/clock.h"
#include "base/units.h"
#include "ggml-cpp.h"
#include "machine/repeated.h"

namespace hypura {
namespace {

constexpr size_t kProbeBytes = 64 * kMiB;
constexpr int kRuns = 7;  // the first one warms up

ggml_context_ptr make_context() {
  return ggml_context_ptr(ggml_init({.mem_size = 4 * ggml_tensor_overhead() + ggml_graph_overhead(),
                                     .mem_buffer = nullptr,
                                     .no_alloc = true}));
}

// The median rate of `work`, which moves `bytes`.
template <class Work>
double median_gbps(double bytes, Work work) {
  Repeated gbps;
  for (int run = 0; run < kRuns; ++run) {
    const double begin = now_seconds();
    work();
    const double took = now_seconds() - begin;
    if (run > 0 && took > 0) gbps.add(bytes * 1e-9 / took);
  }
  return rounded(gbps.median());
}

double upload_gbps(ggml_backend_dev_t device, ggml_backend_t backend) {
  const ggml_context_ptr context = make_context();
  ggml_tensor* target = ggml_new_tensor_1d(context.get(), GGML_TYPE_I8, kProbeBytes);
  const ggml_backend_buffer_ptr memory(ggml_backend_alloc_ctx_tensors(context.get(), backend));
  ggml_backend_buffer_type_t pinned = ggml_backend_dev_host_buffer_type(device);
  if (pinned == nullptr) {
    pinned = ggml_backend_dev_buffer_type(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
  }
  const ggml_backend_buffer_ptr source(ggml_backend_buft_alloc_buffer(pinned, kProbeBytes));
  if (memory == nullptr || source == nullptr) return 0;
  void* bytes = ggml_backend_buffer_get_base(source.get());
  std::memset(bytes, 1, kProbeBytes);  // makes the pages present
  return median_gbps(kProbeBytes, [&] {
    ggml_backend_tensor_set(target, bytes, 0, kProbeBytes);
    ggml_backend_synchronize(backend);
  });
}

// A copy inside of the device: every byte is read and written.
double memory_gbps(ggml_backend_dev_t device, ggml_backend_t backend) {
  const ggml_context_ptr context = make_context();
  const int64_t count = kProbeBytes / sizeof(float);
  ggml_tensor* source = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, count);
  ggml_tensor* target = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, count);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_tensor* copy = ggml_cpy(context.get(), source, target);
  ggml_build_forward_expand(graph, copy);
  if (!ggml_backend_dev_supports_op(device, copy)) return 0;
  const ggml_backend_buffer_ptr memory(ggml_backend_alloc_ctx_tensors(context.get(), backend));
  if (memory == nullptr) return 0;
  ggml_backend_buffer_clear(memory.get(), 0);
  return median_gbps(2.0 * kProbeBytes, [&] {
    ggml_backend_graph_compute(backend, graph);
    ggml_backend_synchronize(backend);
  });
}

GpuProfile probe(ggml_backend_dev_t device) {
  ggml_backend_dev_props props{};
  ggml_backend_dev_get_props(device, &props);
  GpuProfile gpu;
  gpu.name = ggml_backend_dev_description(device);
  gpu.backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
  gpu.total_bytes = props.memory_total;
  // Of Metal this is what recommendedMaxWorkingSetSize leaves.
  gpu.working_set_bytes = props.memory_free;
  gpu.unified = is_unified(device);
  if (props.memory_free != 0 && props.memory_free < 4 * kProbeBytes) return gpu;
  const ggml_backend_ptr backend(ggml_backend_dev_init(device, nullptr));
  if (backend == nullptr) return gpu;
  gpu.upload_gbps = upload_gbps(device, backend.get());
  gpu.memory_gbps = memory_gbps(device, backend.get());
  return gpu;
}

}  // namespace

double upload_gbps(ggml_backend_dev_t device) {
  const ggml_backend_ptr backend(ggml_backend_dev_init(device, nullptr));
  return backend == nullptr ? 0 : upload_gbps(device, backend.get());
}

std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (is_gpu(device)) names.emplace_back(ggml_backend_dev_description(device));
  }
  return names;
}

std::vector<GpuProfile> probe_gpus(const std::atomic<bool>* stop) {
  std::vector<GpuProfile> gpus;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) break;
    if (is_gpu(device)) gpus.push_back(probe(device));
  }
  return gpus;
}

}  // namespace hypura
