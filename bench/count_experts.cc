// hypura_count_experts: what a model's routers really choose, counted while llama.cpp runs it.
//
//   hypura_count_experts MODEL [--tokens 512] [--greedy]
//
// Prints for each layer the entropy of the choice (1 is uniform), the most and the least chosen
// expert against the mean, the exponent of rank^-z that fits best, and how many experts of a token
// were also those of the token before (uniform: used / experts).

#include <fmt/format.h>
#include <ggml-backend.h>
#include <llama.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "random.h"

namespace hypura {
namespace {

constexpr std::string_view kChoice = "ffn_moe_topk-";
constexpr uint32_t kBatch = 128;  // its logits take kBatch * vocab floats

// The choices of one layer: a row of expert numbers for every token, in order.
using Choices = std::vector<std::vector<int32_t>>;

struct Observer {
  std::map<int, Choices> layers;
};

// ggml asks first whether we want to see a node, then shows it computed.
bool observe(ggml_tensor* node, bool ask, void* user) noexcept {
  const std::string_view name = node->name;
  const bool wanted = name.starts_with(kChoice);
  if (ask || !wanted) return wanted || !ask;

  int layer = 0;
  std::from_chars(name.data() + kChoice.size(), name.data() + name.size(), layer);
  Choices& choices = static_cast<Observer*>(user)->layers[layer];
  for (int64_t token = 0; token < node->ne[1]; ++token) {
    std::vector<int32_t> chosen(static_cast<size_t>(node->ne[0]));
    ggml_backend_tensor_get(node, chosen.data(), static_cast<size_t>(token) * node->nb[1],
                            chosen.size() * sizeof(int32_t));
    choices.push_back(std::move(chosen));
  }
  return true;
}

struct Spread {
  double entropy = 0;  // of log(experts)
  double most = 0;     // of the mean
  double least = 0;
  double zipf = 0;      // slope of log(count) over log(rank)
  double repeated = 0;  // share of experts that the token before had too
};

Spread measure(const Choices& choices, uint32_t experts) {
  std::vector<double> counts(experts);
  double repeats = 0;
  for (size_t t = 0; t < choices.size(); ++t) {
    for (int32_t expert : choices[t]) {
      counts[static_cast<size_t>(expert)] += 1;
      if (t > 0) repeats += static_cast<double>(std::ranges::count(choices[t - 1], expert));
    }
  }
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  std::ranges::sort(counts, std::greater());

  Spread spread;
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (uint32_t rank = 1; rank <= experts; ++rank) {
    const double count = counts[rank - 1];
    if (count > 0) spread.entropy -= count / total * std::log(count / total);
    const double x = std::log(rank);
    const double y = std::log(std::max(count, 0.5));
    sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  spread.entropy /= std::log(experts);
  spread.most = counts.front() * experts / total;
  spread.least = counts.back() * experts / total;
  spread.zipf = -(experts * sxy - sx * sy) / (experts * sxx - sx * sx);
  spread.repeated = repeats / total;
  return spread;
}

void print(const Observer& observer, uint32_t experts) {
  fmt::print("{:>5} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "layer", "entropy", "most", "least", "zipf",
             "repeated");
  for (const auto& [layer, choices] : observer.layers) {
    const Spread s = measure(choices, experts);
    fmt::print("{:5} {:8.3f} {:8.2f} {:8.2f} {:8.2f} {:8.3f}\n", layer, s.entropy, s.most, s.least,
               s.zipf, s.repeated);
  }
}

uint32_t expert_count(const llama_model* model) {
  char arch[64] = {};
  char value[32] = {};
  llama_model_meta_val_str(model, "general.architecture", arch, sizeof(arch));
  const std::string key = fmt::format("{}.expert_count", arch);
  if (llama_model_meta_val_str(model, key.c_str(), value, sizeof(value)) < 0) return 0;
  return static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
}

llama_token most_likely(const float* logits, int32_t vocab) {
  return static_cast<llama_token>(std::max_element(logits, logits + vocab) - logits);
}

// Decodes `tokens`, with logits for each: elsewhere llama.cpp skips the last layer's experts.
bool decode(llama_context* context, std::span<const llama_token> tokens, llama_pos position) {
  llama_batch batch = llama_batch_init(static_cast<int32_t>(tokens.size()), 0, 1);
  batch.n_tokens = static_cast<int32_t>(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = position + static_cast<llama_pos>(i);
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  const bool done = llama_decode(context, batch) == 0;
  llama_batch_free(batch);
  return done;
}

// `count` random tokens, or as many greedy ones after a short random prompt.
bool decode_all(llama_context* context, int32_t vocab, uint32_t count, bool greedy) {
  constexpr uint32_t kPrompt = 8;
  Random random(1);
  std::vector<llama_token> tokens(greedy ? kPrompt : count);
  for (llama_token& token : tokens) {
    token = static_cast<llama_token>(random.below(static_cast<uint32_t>(vocab)));
  }
  llama_pos position = 0;
  for (size_t at = 0; at < tokens.size(); at += kBatch) {
    const auto part = std::span(tokens).subspan(at, std::min<size_t>(kBatch, tokens.size() - at));
    if (!decode(context, part, position)) return false;
    position += static_cast<llama_pos>(part.size());
  }
  for (uint32_t i = 0; greedy && i < count; ++i) {
    const llama_token next = most_likely(llama_get_logits_ith(context, -1), vocab);
    if (!decode(context, {&next, 1}, position++)) return false;
  }
  return true;
}

int run(const std::string& path, uint32_t tokens, bool greedy, int32_t threads) {
  llama_log_set([](ggml_log_level, const char*, void*) noexcept {}, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.use_extra_bufts = false;  // no repacking: the file stays mapped
  const std::unique_ptr<llama_model, decltype(&llama_model_free)> model(
      llama_model_load_from_file(path.c_str(), model_params), llama_model_free);
  if (!model) return fmt::print(stderr, "error: cannot load {}\n", path), 1;
  const uint32_t experts = expert_count(model.get());
  if (experts == 0) return fmt::print(stderr, "error: {} has no experts\n", path), 1;

  Observer observer;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = tokens + 64;
  params.n_threads = params.n_threads_batch = threads;
  params.n_batch = params.n_ubatch = kBatch;
  params.cb_eval = observe;
  params.cb_eval_user_data = &observer;
  const std::unique_ptr<llama_context, decltype(&llama_free)> context(
      llama_init_from_model(model.get(), params), llama_free);
  if (!context) return fmt::print(stderr, "error: cannot run {}\n", path), 1;

  const int32_t vocab = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
  if (!decode_all(context.get(), vocab, tokens, greedy)) {
    return fmt::print(stderr, "error: decoding failed\n"), 1;
  }
  print(observer, experts);
  return 0;
}

}  // namespace
}  // namespace hypura

int main(int argc, char** argv) {
  CLI::App app("Counts which experts a model's routers choose");
  std::string path;
  uint32_t tokens = 512;
  bool greedy = false;
  int32_t threads = 1;
  app.add_option("MODEL", path)->required();
  app.add_option("--tokens", tokens, "how many")->capture_default_str();
  app.add_option("-t,--threads", threads, "threads")->capture_default_str();
  app.add_flag("--greedy", greedy, "generate them; without it they are random");
  CLI11_PARSE(app, argc, argv);
  return hypura::run(path, tokens, greedy, threads);
}
