#include "engine/projector.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "backend/gpu/devices.h"
#include "model/gguf_reader.h"
#include "model/printable.h"
#include "mtmd.h"

namespace hypura {
namespace {

constexpr const char* kArchitecture = "clip";

// What llama.cpp says where it refuses one.
void keep_error(ggml_log_level level, const char* text, void* first) {
  std::string& kept = *static_cast<std::string*>(first);
  if (level == GGML_LOG_LEVEL_ERROR && kept.empty()) kept = text;
}

// All of its tensors lie in the file.
Status check_projector(const std::string& path) {
  const Result<GgufFile> file = GgufFile::open(path);
  if (!file.ok()) return file.status();
  if (const Result<std::vector<TensorInfo>> tensors = file->tensors(); !tensors.ok()) {
    return tensors.status();
  }
  if (const std::string kind = file->text("general.architecture"); kind != kArchitecture) {
    return Status(StatusCode::invalid_model, fmt::format("{} is no projector", path))
        .because(fmt::format("its architecture is '{}', not '{}'", printable(kind), kArchitecture))
        .suggest("the mmproj file that comes with the model");
  }
  return Status();
}

}  // namespace

Result<ProjectorSize> measure_projector(const common_params& params) {
  ProjectorSize size;
  const std::string& path = params.mmproj.path;
  if (path.empty()) return size;
  if (Status status = check_projector(path); !status.ok()) return status;
  // As llama.cpp's server will load it, but for what changes no size.
  mtmd_context_params projector = mtmd_context_params_default();
  projector.use_gpu = params.mmproj_use_gpu;
  projector.device = params.mmproj_device;
  projector.flash_attn_type = params.flash_attn_type;
  projector.image_min_tokens = params.image_min_tokens;
  projector.image_max_tokens = params.image_max_tokens;
  projector.batch_max_tokens = params.mtmd_batch_max_tokens;
  projector.print_timings = false;
  std::string why;
  mtmd_log_set(keep_error, &why);
  const std::map<ggml_backend_dev_t, size_t> taken =
      mtmd_get_memory_usage(path.c_str(), projector);
  mtmd_log_set(nullptr, nullptr);
  if (taken.empty()) {
    return Status(StatusCode::invalid_model, fmt::format("llama.cpp cannot load {}", path))
        .because(why.substr(0, why.find('\n')))
        .suggest("the mmproj file that comes with the model");
  }
  for (const auto& [device, bytes] : taken) {
    (is_gpu(device) && !is_unified(device) ? size.gpu_bytes : size.ram_bytes) += bytes;
  }
  return size;
}

}  // namespace hypura
