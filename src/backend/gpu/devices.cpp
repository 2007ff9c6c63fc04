#include "backend/gpu/devices.h"

#include <string_view>

namespace hypura {

bool is_gpu(ggml_backend_dev_t device) {
  const auto type = ggml_backend_dev_type(device);  // the function hides the name of its type
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

bool is_unified(ggml_backend_dev_t device) {
  // Metal reports its GPUs as discrete.
  const std::string_view backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
  return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_IGPU || backend == "MTL" ||
         backend == "Metal";
}

bool takes_our_memory(ggml_backend_dev_t device) {
  ggml_backend_dev_props props{};
  ggml_backend_dev_get_props(device, &props);
  return props.caps.buffer_from_host_ptr;
}

namespace {

std::vector<GpuDevice> gpus_that_are(bool unified) {
  std::vector<GpuDevice> gpus;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (!is_gpu(device) || is_unified(device) != unified) continue;
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    gpus.push_back({.device = device,
                    .name = ggml_backend_dev_description(device),
                    .free_bytes = free,
                    .total_bytes = total});
  }
  return gpus;
}

}  // namespace

std::vector<GpuDevice> discrete_gpus() { return gpus_that_are(false); }

std::optional<GpuDevice> unified_gpu() {
  const std::vector<GpuDevice> gpus = gpus_that_are(true);
  return gpus.empty() ? std::nullopt : std::optional(gpus.front());
}

}  // namespace hypura
