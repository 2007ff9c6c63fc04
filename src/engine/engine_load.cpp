// How an engine loads: the model with its weights or without, its adapters, its draft.
#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "backend/device.h"
#include "backend/gpu/host_memory.h"
#include "backend/work_bytes.h"
#include "engine/llama_log.h"
#include "machine/memory.h"
#include "machine/read_through.h"

namespace hypura {
namespace {

// Repacking while the file is mapped holds weights twice for a while; a tighter budget reads them
// straight into their buffers.
constexpr uint64_t kMappedRepackFactor = 2;

}  // namespace

Status Engine::open_plain() {
  choose_load_mode();
  const uint64_t anonymous_before = anonymous_bytes();
  if (Status status = load_model(false); !status.ok()) return status;
  if (Status status = measure(); !status.ok()) return status;
  if (plan_.process_base_bytes == 0) {
    // Nothing tells the model's bookkeeping from its weights here: it is left out.
    plan_.context.anonymous_bytes = anonymous_before;
    plan_.process_base_bytes = process_base(plan_.context);
  }
  if (Status status = load_draft(); !status.ok()) return status;
  return load_adapters();
}

// How llama.cpp reads a model that it loads as always.
void Engine::choose_load_mode() {
  common_params& params = options_.params;
  const bool mapped = plan_.mode == Mode::mapped;
  plan_.pinned_bytes = plan_.ram_weight_bytes();
  if (options_.exact || mapped) params.no_extra_bufts = true;
  if (mapped) params.load_mode = LLAMA_LOAD_MODE_MMAP;
  const bool tight =
      plan_.budget_bytes > 0 &&
      plan_.budget_bytes < kMappedRepackFactor * plan_.ram_weight_bytes() + plan_.fixed_bytes;
  // llama.cpp uploads weights below the GPU for prompts: from memory that is locked for the GPU's
  // driver, into which it reads them, at 2600 tok/s and more, from the mapping at 750
  // (docs/experiments.md).
  const bool uploads = !below_.empty() && !mapped;
  const bool reads = (tight && !params.no_extra_bufts) || uploads;
  if (reads && params.load_mode == LLAMA_LOAD_MODE_AUTO) {
    params.load_mode = LLAMA_LOAD_MODE_NONE;
  }
  if (uploads && params.load_mode == LLAMA_LOAD_MODE_NONE) {
    params.tensor_buft_overrides.front().buft = gpu_host_buffer_type(params.devices.front());
  }
}

Status Engine::open_streamed() {
  if (Status status = load_streamed(); !status.ok()) return status;
  return place_weights();
}

// The model without its weights: each has an address without memory.
Status Engine::load_streamed() {
  common_params& params = options_.params;
  params.no_extra_bufts = true;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  params.lazy_mode = LLAMA_LAZY_MODE_OFF;
  StreamedModelOptions model_options{
      .threads = std::max(context_params_.n_threads, context_params_.n_threads_batch),
      .work_bytes = cpu_work_bytes,
      .repack = options_.fast_prompt,
      .stop = {.interrupted = options_.stop},
  };
  if (served_) serve(model_options);
  Result<std::unique_ptr<StreamedModel>> model =
      StreamedModel::create(*index_, std::move(model_options));
  if (!model.ok()) return model.status();
  streamed_model_ = *std::move(model);
  if (draft_ != nullptr) {
    const GuestScope guest(*streamed_model_);
    if (Status status = draft_->measure(); !status.ok()) return status;
    plan_.draft_bytes = draft_->budget_bytes() + guest.work_bytes();
  }
  {
    const LoadScope scope(*streamed_model_);
    const ReadThrough reading(parts_for_gpu());
    if (Status status = load_model(false); !status.ok()) return status;
  }
  return load_adapters();
}

Status Engine::load_model(bool without_memory) {
  llama_model_params params = common_model_params_to_llama(options_.params);
  params.no_alloc = without_memory;
  if (without_memory) params.load_mode = LLAMA_LOAD_MODE_NONE;
  params.progress_callback_user_data = this;
  params.progress_callback = [](float share, void* user_data) {
    Engine& engine = *static_cast<Engine*>(user_data);
    const auto& progress = engine.options_.progress;
    if (engine.streamed_ || !progress) return !engine.interrupted();
    const uint64_t total = engine.plan_.weight_bytes;
    return progress(static_cast<uint64_t>(static_cast<double>(share) * static_cast<double>(total)),
                    total);
  };
  const LlamaErrors errors;
  model_.reset(llama_model_load_from_file(options_.params.model.path.c_str(), params));
  if (model_ != nullptr) return Status();
  if (interrupted()) return Status(StatusCode::interrupted, "interrupted while loading");
  note_refusal(errors.text());
  return Status(StatusCode::invalid_model,
                fmt::format("llama.cpp cannot load {}", options_.model_path))
      .because(errors.text());
}

Status Engine::load_adapters() {
  for (common_adapter_lora_info& info : options_.params.lora_adapters) {
    if (!std::filesystem::exists(info.path)) {
      return Status(StatusCode::failed, fmt::format("there is no LoRA file {}", info.path));
    }
    const LlamaErrors errors;
    llama_adapter_lora_ptr adapter(llama_adapter_lora_init(model_.get(), info.path.c_str()));
    if (adapter == nullptr) {
      return Status(StatusCode::invalid_model, fmt::format("cannot load LoRA {}", info.path))
          .because(errors.text());
    }
    info.ptr = adapter.get();
    adapters_.push_back(std::move(adapter));
  }
  return Status();
}

// What a draft model will take is known before anything is placed beside it.
Status Engine::open_draft() {
  if (options_.draft.kind != DraftOptions::Kind::model) return Status();
  Result<std::unique_ptr<DraftModel>> draft = DraftModel::open(options_.draft.path, params());
  if (!draft.ok()) return draft.status();
  draft_ = *std::move(draft);
  plan_.draft_bytes = draft_->budget_bytes();
  return Status();
}

// REQUIRES: the model is loaded, at least without its weights.
Status Engine::load_draft() {
  if (options_.draft.kind == DraftOptions::Kind::none) return Status();
  if (Status status = check_can_verify(model()); !status.ok()) return status;
  if (draft_ == nullptr) return Status();
  std::optional<GuestScope> guest;
  if (streamed_) guest.emplace(*streamed_model_);
  return draft_->load(vocab());
}

}  // namespace hypura
