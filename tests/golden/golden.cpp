#include "golden/golden.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/units.h"
#include "engine/llama_log.h"

namespace hypura::golden {
namespace {

// Vocabularies of the tiny models have no text; any ids will do.
std::vector<llama_token> random_tokens(int count, int vocabulary, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<llama_token> tokens;
  for (int i = 0; i < count; ++i) {
    tokens.push_back(static_cast<llama_token>(random() % static_cast<uint32_t>(vocabulary)));
  }
  return tokens;
}

llama_token largest(const std::vector<float>& logits) {
  return static_cast<llama_token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

EngineOptions common_options(const Script& script) {
  EngineOptions options;
  options.model_path = script.model;
  common_params& params = options.params;
  params.n_ctx = (script.prompt_tokens + script.generated_tokens + 1) * script.sequences;
  params.n_batch = params.n_ctx;
  params.n_ubatch = script.micro_batch;
  params.n_parallel = script.sequences;
  params.n_outputs_max = script.prompt_tokens * script.sequences;
  params.cpuparams.n_threads = script.threads;
  params.cpuparams_batch.n_threads = script.threads;
  params.cache_type_k = script.type_k;
  params.cache_type_v = script.type_v;
  params.flash_attn_type = script.flash_attention;
  if (!script.lora.empty()) {
    common_adapter_lora_info lora;
    lora.path = script.lora;
    lora.scale = 1.0f;
    params.lora_adapters.push_back(lora);
  }
  return options;
}

struct Batch {
  explicit Batch(int capacity) : value(llama_batch_init(capacity, 0, 1)) {}
  ~Batch() { llama_batch_free(value); }
  llama_batch value;
};

Status collect(Engine& engine, const Batch& batch, Trace& trace) {
  if (Status status = engine.decode(batch.value); !status.ok()) return status;
  const int vocabulary = llama_vocab_n_tokens(engine.vocab());
  for (int i = 0; i < batch.value.n_tokens; ++i) {
    const float* logits = llama_get_logits_ith(engine.context(), i);
    trace.logits.emplace_back(logits, logits + vocabulary);
  }
  return Status();
}

}  // namespace

EngineOptions resident_options(const Script& script) {
  EngineOptions options = common_options(script);
  options.mode = Mode::resident;
  options.exact = true;
  return options;
}

EngineOptions streamed_options(const Script& script, const RamBudget& budget) {
  EngineOptions options = common_options(script);
  const Result<ModelIndex> index = ModelIndex::open(script.model);
  options.mode = index.ok() && index->info().expert_count > 0 ? Mode::experts : Mode::dense;
  options.ram_budget = budget;
  options.prefetch = script.prefetch;
  options.cache_sizer = script.cache_sizer;
  return options;
}

Result<Trace> run_script(Engine& engine, const Script& script) {
  Trace trace;
  const int vocabulary = llama_vocab_n_tokens(engine.vocab());
  Batch batch(script.prompt_tokens * script.sequences);
  for (int sequence = 0; sequence < script.sequences; ++sequence) {
    const std::vector<llama_token> prompt = random_tokens(
        script.prompt_tokens, vocabulary, script.seed + static_cast<uint32_t>(sequence));
    for (int i = 0; i < script.prompt_tokens; ++i) {
      common_batch_add(batch.value, prompt[static_cast<size_t>(i)], i, {sequence}, true);
    }
  }
  if (Status status = collect(engine, batch, trace); !status.ok()) return status;

  std::vector<llama_token> next;
  for (int sequence = 0; sequence < script.sequences; ++sequence) {
    next.push_back(
        largest(trace.logits[static_cast<size_t>((sequence + 1) * script.prompt_tokens - 1)]));
  }
  for (int step = 0; step < script.generated_tokens; ++step) {
    common_batch_clear(batch.value);
    for (int sequence = 0; sequence < script.sequences; ++sequence) {
      common_batch_add(batch.value, next[static_cast<size_t>(sequence)],
                       script.prompt_tokens + step, {sequence}, true);
    }
    if (Status status = collect(engine, batch, trace); !status.ok()) return status;
    for (int sequence = 0; sequence < script.sequences; ++sequence) {
      trace.tokens.push_back(next[static_cast<size_t>(sequence)]);
      next[static_cast<size_t>(sequence)] =
          largest(trace.logits[trace.logits.size() -
                               static_cast<size_t>(script.sequences - sequence)]);
    }
  }
  return trace;
}

std::string difference(const Trace& resident, const Trace& streamed) {
  if (resident.logits.size() != streamed.logits.size()) return "different number of steps";
  for (size_t step = 0; step < resident.logits.size(); ++step) {
    const std::vector<float>& a = resident.logits[step];
    const std::vector<float>& b = streamed.logits[step];
    if (std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) continue;
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0) continue;
      return fmt::format("step {} of {}: logit {} is {} resident and {} streamed", step,
                         resident.logits.size(), i, a[i], b[i]);
    }
  }
  return std::string();
}

std::string compare_at_budgets(const Script& script, const std::vector<double>& shares) {
  quiet_llama_log(false);
  Trace resident;
  {
    Result<std::unique_ptr<Engine>> engine = Engine::open(resident_options(script));
    if (!engine.ok()) return "resident: " + engine.status().to_string();
    Result<Trace> trace = run_script(**engine, script);
    if (!trace.ok()) return "resident: " + trace.status().to_string();
    resident = *std::move(trace);
  }

  uint64_t least_bytes = 0;
  uint64_t weight_bytes = 0;
  for (size_t i = 0; i <= shares.size(); ++i) {
    RamBudget budget{.kind = RamBudget::Kind::minimum};
    if (i > 0) {
      budget.kind = RamBudget::Kind::bytes;
      budget.bytes = least_bytes +
                     static_cast<uint64_t>(shares[i - 1] * static_cast<double>(weight_bytes));
    }
    Result<std::unique_ptr<Engine>> engine = Engine::open(streamed_options(script, budget));
    if (!engine.ok()) return "streamed: " + engine.status().to_string();
    const PlanSummary& plan = (*engine)->plan();
    const uint64_t loaded_bytes = (*engine)->stats().residency.bytes_read;
    Result<Trace> trace = run_script(**engine, script);
    const std::string where = fmt::format("budget {}: ", format_bytes(plan.budget_bytes));
    if (!trace.ok()) return where + trace.status().to_string();
    if (const std::string text = difference(resident, *trace); !text.empty()) return where + text;
    if (i == 0) {
      least_bytes = plan.budget_bytes;
      weight_bytes = plan.weight_bytes;
      if (plan.streamed_bytes > 0 && (*engine)->stats().residency.bytes_read == loaded_bytes) {
        return where + "nothing was read while computing";
      }
    }
  }
  return std::string();
}

std::string in_child(const std::function<std::string()>& work, unsigned seconds) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    setenv("GGML_NO_BACKTRACE", "1", 1);
    alarm(seconds);
    const std::string text = work();
    const ssize_t written = write(ends[1], text.data(), std::min<size_t>(text.size(), 4096));
    _exit(written >= 0 ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGALRM) return "timeout";
    return fmt::format("died of signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return text;
}

}  // namespace hypura::golden
