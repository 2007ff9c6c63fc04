#include "server/model/model_host.h"

#include <algorithm>
#include <utility>

#include "server-stream.h"
#include "speculative.h"

namespace hypura {
namespace {

// Of one request, where nobody asked for another: Ollama's.
constexpr uint64_t kContextMax = 4096;

// What llama-server's command line would have set, and what the budget does not know of is off.
void take_server_defaults(common_params& params, const std::string& name) {
  // A request that outgrows its context fails alone.
  params.kv_unified = false;
  params.cache_ram_mib = 0;  // copies of prompts in memory that nobody planned
  params.cache_idle_slots = false;
  params.endpoint_slots = true;
  params.model_alias = {name};
  // A request that is cancelled in its prompt ends with its batch.
  params.n_batch = std::min(params.n_batch, params.n_ubatch);
  if (params.embedding) {
    params.n_outputs_max = params.n_batch;
    params.n_outputs_max_per_seq = 1;
    return;
  }
  const common_speculative_output_limits limits = common_speculative_get_output_limits(
      params.n_batch, params.n_parallel, common_speculative_n_max(&params.speculative));
  params.n_outputs_max = std::max(1, limits.total);
  params.n_outputs_max_per_seq = std::max(1, limits.per_seq);
}

}  // namespace

ModelHost::ModelHost(EngineOptions engine, const std::string& name)
    : options_(std::move(engine)), context_(std::make_unique<server_context>()) {
  server_stream_session_manager_start();
  take_server_defaults(options_.params, name);
  if (options_.params.embedding) options_.micro_batch_most = 0;  // answers are as large as batches
  routes_ = std::make_unique<server_routes>(params_, *context_);
}

ModelHost::~ModelHost() {
  routes_.reset();
  context_.reset();
  server_stream_session_manager_stop();
}

Status ModelHost::open() {
  common_params& params = options_.params;
  const Result<ModelIndex> index = ModelIndex::open(options_.model_path);
  if (!index.ok()) return index.status();
  if (params.n_ctx == 0) {
    const uint64_t trained = index->info().context_length;
    params.n_ctx = static_cast<int>(trained == 0 ? kContextMax : std::min(trained, kContextMax));
  }
  // A model that was made to generate: its last token knows of all, as Ollama has it.
  if (params.embedding && params.pooling_type == LLAMA_POOLING_TYPE_UNSPECIFIED &&
      !index->info().has_pooling) {
    params.pooling_type = LLAMA_POOLING_TYPE_LAST;
  }
  params.n_ctx *= params.n_parallel;
  Result<std::unique_ptr<Engine>> engine = Engine::prepare(std::move(options_));
  if (!engine.ok()) return engine.status();
  engine_ = *std::move(engine);
  Status loaded = engine_->load_by([&](common_params& decided) -> llama_context* {
    params_ = decided;
    return context_->load_model(params_) ? context_->get_llama_context() : nullptr;
  });
  if (!loaded.ok()) return loaded;
  routes_->update_meta(*context_);
  return Status();
}

void ModelHost::stop() {
  engine_->give_up(true);
  context_->terminate();
}

ServedTokens ModelHost::tokens(const std::function<bool()>& stopped) {
  server_response_reader reader = context_->get_response_reader();
  server_task task(SERVER_TASK_TYPE_METRICS);
  task.id = reader.get_new_id();
  reader.post_task(std::move(task), true);
  const server_task_result_ptr result = reader.next(stopped);
  const auto* counted = dynamic_cast<const server_task_result_metrics*>(result.get());
  if (counted == nullptr) return ServedTokens();
  const server_metrics& metrics = counted->metrics;
  return {.prompt = metrics.prompt.count,
          .prompt_seconds = static_cast<double>(metrics.prompt.time) * 1e-6,
          .generated = metrics.predict.count,
          .generated_seconds = static_cast<double>(metrics.predict.time) * 1e-6,
          .busy_slots = counted->n_processing_slots,
          .deferred = counted->n_tasks_deferred};
}

std::string ModelHost::why_failed() const {
  const Status failure = engine_->last_failure();
  return failure.ok() ? std::string() : failure.message();
}

void ModelHost::on_wait(bool someone) { engine_->give_up(!someone); }

}  // namespace hypura
