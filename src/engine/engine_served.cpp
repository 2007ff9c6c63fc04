// How an engine lends its weights to a program that loads the model by itself: llama.cpp's server.
#include "engine/engine.h"

#include <fmt/format.h>

#include <utility>

#include "backend/device.h"
#include "engine/llama_log.h"

namespace hypura {

Result<std::unique_ptr<Engine>> Engine::prepare(EngineOptions options) {
  std::unique_ptr<Engine> engine(new Engine(std::move(options)));
  if (Status status = engine->prepare(); !status.ok()) return status;
  return engine;
}

Status Engine::prepare() {
  served_ = true;
  if (options_.draft.kind != DraftOptions::Kind::none) {
    return Status(StatusCode::invalid_argument, "--draft does not work in a server")
        .suggest("hypura run, or no draft");
  }
  if (Status status = open_index(); !status.ok()) return status;
  // Who asks for no GPU gets none of llama.cpp's own accord either.
  if (options_.gpu_budget.kind == GpuBudget::Kind::none) options_.params.mmproj_use_gpu = false;
  Result<ProjectorSize> projector = measure_projector(options_.params);
  if (!projector.ok()) return projector.status();
  projector_ = *projector;
  if (Status status = choose_gpu(); !status.ok()) return status;
  if (Status status = choose_path(); !status.ok()) return status;
  options_.params.no_op_offload = !context_params_.op_offload;
  if (!streamed_) {
    choose_load_mode();
    return Status();
  }
  if (Status status = load_streamed(); !status.ok()) return status;
  if (Status status = measure_streamed(); !status.ok()) return status;
  if (Status status = choose_layout(); !status.ok()) return status;
  // What was measured is the census; the model itself is loaded once more, by who serves it.
  adapters_.clear();
  model_.reset();
  streamed_model_->forget_tensors();
  return Status();
}

// Loading ends with the first graph, whoever computes it.
void Engine::serve(StreamedModelOptions& model_options) {
  model_options.prepare = [this](uint64_t) { return fill_layout(); };
  model_options.report = [this](const Status& error) {
    const std::lock_guard lock(failure_mutex_);
    failure_ = error;
  };
  // Who stops a server lets answers finish.
  model_options.stop = {.gives_up = &gives_up_};
}

Status Engine::load_by(const std::function<llama_context*(common_params&)>& load) {
  HYPURA_CHECK(served_);
  const LlamaErrors errors;
  llama_context* context = nullptr;
  if (streamed_) {
    const LoadScope scope(*streamed_model_);
    context = load(options_.params);
  } else {
    context = load(options_.params);
  }
  if (Status failure = last_failure(); !failure.ok()) return failure;
  if (interrupted()) return Status(StatusCode::interrupted, "interrupted while loading");
  if (context == nullptr) {
    const std::string& projector = options_.params.mmproj.path;
    return Status(StatusCode::invalid_model,
                  fmt::format("llama.cpp cannot load {}{}", options_.model_path,
                              projector.empty() ? "" : " with the projector " + projector))
        .because(errors.text());
  }
  served_context_ = context;
  if (!streamed_) return Status();
  if (Status status = streamed_model_->make_ready(); !status.ok()) return status;
  watch_memory();
  return Status();
}

EngineStats Engine::last_stats() const {
  return streamed_model_ == nullptr ? EngineStats() : stats_of(streamed_model_->last_stats());
}

Status Engine::last_failure() const {
  const std::lock_guard lock(failure_mutex_);
  return failure_;
}

}  // namespace hypura
