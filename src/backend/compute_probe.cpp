#include "backend/compute_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>

#include "backend/cpu_backend.h"
#include "base/clock.h"
#include "base/units.h"
#include "ggml-cpp.h"
#include "ggml-cpu.h"

namespace hypura {
namespace {

constexpr int64_t kColumns = 4096;
constexpr int64_t kExpertColumns = 2048;
constexpr int64_t kBatchTokens = 512;
constexpr int64_t kExpertsUsed = 8;
constexpr size_t kExpertBytes = kMiB;
constexpr int kChainNodes = 256;  // about a small model's graph
constexpr int64_t kChainColumns = 1024;
constexpr size_t kMatrixBytes = 8 * kMiB;  // of one token's: short runs, so that few are disturbed
constexpr size_t kWeightBytesMin = kMatrixBytes;
constexpr double kSecondsMin = 0.02;  // of one rate
constexpr double kSecondsMax = 0.25;
constexpr int kRunsMin = 3;
// Over all cells, so that other programs that disturb a pass do not decide a rate.
constexpr int kPasses = 3;

std::optional<ggml_type> type_of(const std::string& name) {
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const ggml_type type = static_cast<ggml_type>(i);
    const char* type_name = ggml_type_name(type);
    if (type_name != nullptr && name == type_name && ggml_blck_size(type) > 0) return type;
  }
  return std::nullopt;
}

std::vector<float> drawn(size_t count) {
  std::mt19937 draw(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(draw);
  return values;
}

// The CPU backend with its threads, and memory that all weights share in turn.
class Bench {
 public:
  static std::unique_ptr<Bench> create(size_t weight_bytes) {
    std::unique_ptr<Bench> bench(new Bench());
    bench->backend_.reset(ggml_backend_dev_init(cpu_device(), nullptr));
    bench->weights_.reset(ggml_backend_buft_alloc_buffer(
        ggml_backend_dev_buffer_type(cpu_device()), weight_bytes));
    const bool complete = bench->backend_ != nullptr && bench->weights_ != nullptr;
    return complete ? std::move(bench) : nullptr;
  }

  void set_threads(int threads) {
    ggml_backend_cpu_set_n_threads(backend_.get(), threads);
    threads_.serve(backend_.get(), threads);
  }

  void* weights() const { return ggml_backend_buffer_get_base(weights_.get()); }
  size_t weight_bytes() const { return ggml_backend_buffer_get_size(weights_.get()); }
  ggml_backend_t backend() const { return backend_.get(); }

  // A few rows of normally distributed values, quantised, again and again: a scale of zero, or one
  // that is no number, would take another time.
  void fill(ggml_type type) {
    constexpr int64_t kRows = 8;
    const std::vector<float> values = drawn(kRows * kColumns);
    std::vector<char> rows(kRows * ggml_row_size(type, kColumns));
    ggml_quantize_chunk(type, values.data(), rows.data(), 0, kRows, kColumns, nullptr);
    char* base = static_cast<char*>(weights());
    for (size_t at = 0; at < weight_bytes(); at += rows.size()) {
      std::memcpy(base + at, rows.data(), std::min(rows.size(), weight_bytes() - at));
    }
  }

  void place_weight(ggml_tensor* tensor) {
    ggml_backend_tensor_alloc(weights_.get(), tensor, weights());
  }

 private:
  Bench() = default;

  CpuThreads threads_{0};
  ggml_backend_ptr backend_;
  ggml_backend_buffer_ptr weights_;
};

// One operator on weights that lie in the bench's memory.
class Operation {
 public:
  explicit Operation(Bench& bench) : bench_(bench) {
    context_.reset(ggml_init({.mem_size = (8 + kChainNodes) * ggml_tensor_overhead() +
                                          ggml_graph_overhead(),
                              .mem_buffer = nullptr,
                              .no_alloc = true}));
  }

  bool token(ggml_type type, int64_t rows, int64_t tokens) {
    ggml_context* context = context_.get();
    weight_ = ggml_new_tensor_2d(context, type, kColumns, rows);
    input_ = ggml_new_tensor_2d(context, GGML_TYPE_F32, kColumns, tokens);
    bytes_ = static_cast<double>(ggml_nbytes(weight_)) * static_cast<double>(tokens);
    return finish(ggml_mul_mat(context, weight_, input_));
  }

  bool experts(ggml_type type) {
    ggml_context* context = context_.get();
    const size_t row_bytes = ggml_row_size(type, kExpertColumns);
    const int64_t rows = static_cast<int64_t>(kExpertBytes / row_bytes);
    const int64_t count = static_cast<int64_t>(bench_.weight_bytes() / kExpertBytes);
    const int64_t used = std::min(kExpertsUsed, count);
    weight_ = ggml_new_tensor_3d(context, type, kExpertColumns, rows, count);
    input_ = ggml_new_tensor_3d(context, GGML_TYPE_F32, kExpertColumns, 1, 1);
    ids_ = ggml_new_tensor_2d(context, GGML_TYPE_I32, used, 1);
    bytes_ = static_cast<double>(row_bytes) * static_cast<double>(rows * used);
    order_.resize(static_cast<size_t>(count));
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(1));
    return finish(ggml_mul_mat_id(context, weight_, input_, ids_));
  }

  // Additions of `weight_` again and again, each a node that waits for the one before. Its rate is
  // in 1e9 nodes a second.
  bool chain() {
    ggml_context* context = context_.get();
    weight_ = ggml_new_tensor_1d(context, GGML_TYPE_F32, kChainColumns);
    input_ = ggml_new_tensor_1d(context, GGML_TYPE_F32, kChainColumns);
    bytes_ = kChainNodes;
    ggml_tensor* sum = input_;
    for (int i = 0; i < kChainNodes; ++i) sum = ggml_add(context, sum, weight_);
    return finish(sum);
  }

  // From here on its weights stay in the caches.
  void stay() { stays_ = true; }

  // Gigabytes a second, again and again for `seconds`, thrice at least.
  Repeated measure(double seconds, const std::atomic<bool>* stop) {
    Repeated gbps;
    double begin = now_seconds();
    for (int run = 0; run < kRunsMin || now_seconds() - begin < seconds; ++run) {
      if (stop != nullptr && stop->load(std::memory_order_relaxed)) break;
      choose_experts();
      choose_matrix();
      const double start = now_seconds();
      if (ggml_backend_graph_compute(bench_.backend(), graph_) != GGML_STATUS_SUCCESS) break;
      const double took = now_seconds() - start;
      // The first run wakes threads and touches pages, unless it is so long that this does not
      // show.
      const bool warms_up = run == 0 && took < seconds;
      if (warms_up) begin = now_seconds();
      if (!warms_up && took > 0) gbps.add(bytes_ * 1e-9 / took);
      if (took > seconds && !gbps.empty()) break;
    }
    return gbps;
  }

 private:
  bool finish(ggml_tensor* result) {
    bench_.place_weight(weight_);
    graph_ = ggml_new_graph(context_.get());
    ggml_build_forward_expand(graph_, result);
    rest_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), bench_.backend()));
    if (rest_ == nullptr) return false;
    const std::vector<float> values = drawn(static_cast<size_t>(ggml_nelements(input_)));
    std::memcpy(input_->data, values.data(), ggml_nbytes(input_));
    return true;
  }

  // Others than last time, so that no cache holds them.
  void choose_experts() {
    if (ids_ == nullptr) return;
    int32_t* ids = static_cast<int32_t*>(ids_->data);
    for (int64_t i = 0; i < ids_->ne[0]; ++i) ids[i] = order_[next_++ % order_.size()];
  }

  // The next part of the memory, for the same reason.
  void choose_matrix() {
    if (ids_ != nullptr || stays_) return;
    const size_t bytes = ggml_nbytes(weight_);
    const size_t places = std::max<size_t>(bench_.weight_bytes() / bytes, 1);
    weight_->data = static_cast<char*>(bench_.weights()) + next_++ % places * bytes;
  }

  Bench& bench_;
  ggml_context_ptr context_;
  ggml_backend_buffer_ptr rest_;
  ggml_tensor* weight_ = nullptr;
  ggml_tensor* input_ = nullptr;
  ggml_tensor* ids_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  double bytes_ = 0;  // of weights times tokens
  std::vector<int32_t> order_;
  size_t next_ = 0;
  bool stays_ = false;
};

struct Cell {
  ggml_type type;
  int threads = 0;
  Repeated token;
  Repeated batch;
  Repeated experts;
  std::vector<double> pass_gbps;  // of one token, pass by pass
};

// Once more, for `seconds` each. The bench's memory is filled with the cell's type.
void measure_cell(Bench& bench, Cell& cell, double seconds, const std::atomic<bool>* stop) {
  bench.set_threads(cell.threads);
  const size_t row_bytes = ggml_row_size(cell.type, kColumns);
  Operation token(bench);
  if (token.token(cell.type, static_cast<int64_t>(kMatrixBytes / row_bytes), 1)) {
    const Repeated gbps = token.measure(seconds, stop);
    cell.token.add(gbps);
    cell.pass_gbps.push_back(gbps.median());
  }
  Operation batch(bench);
  const int64_t rows = std::min<int64_t>(std::max(256, 16 * cell.threads),
                                         static_cast<int64_t>(bench.weight_bytes() / row_bytes));
  if (batch.token(cell.type, rows, kBatchTokens)) cell.batch.add(batch.measure(seconds, stop));
  Operation experts(bench);
  if (experts.experts(cell.type)) cell.experts.add(experts.measure(seconds, stop));
}

constexpr int64_t kSmallRows = 16;

Repeated chained_nodes(Bench& bench, int threads, const std::atomic<bool>* stop) {
  bench.set_threads(threads);
  bench.fill(GGML_TYPE_F32);
  Operation nodes(bench);
  if (!nodes.chain()) return {};
  nodes.stay();
  return nodes.measure(kSecondsMin, stop);
}

// Calls of a graph so small that it is all overhead, as a rate of its weights.
Repeated small_calls(Bench& bench, int threads, const std::atomic<bool>* stop) {
  bench.set_threads(threads);
  bench.fill(GGML_TYPE_F32);
  Operation small(bench);
  if (!small.token(GGML_TYPE_F32, kSmallRows, 1)) return {};
  small.stay();
  return small.measure(kSecondsMin, stop);
}

double median_of(const std::vector<double>& values) {
  Repeated repeated;
  for (const double value : values) repeated.add(value);
  return repeated.median();
}

ComputeFindings findings_of(const std::vector<Cell>& cells, const Repeated& small, int threads) {
  ComputeFindings findings;
  std::vector<double> spreads;
  std::vector<double> slowdowns;
  for (const Cell& cell : cells) {
    const double token_gbps = cell.token.median();
    if (token_gbps <= 0) continue;
    const double spread = 1 - token_gbps / cell.token.fast();
    findings.samples.push_back({.type = ggml_type_name(cell.type),
                                .threads = cell.threads,
                                .token_gbps = rounded(token_gbps),
                                .batch_gbps = rounded(cell.batch.median()),
                                .expert_gbps = rounded(cell.experts.median()),
                                .spread = rounded(spread)});
    if (cell.threads != threads) continue;
    spreads.push_back(spread);
    if (cell.pass_gbps.front() > 0) {
      slowdowns.push_back(std::max(0.0, 1 - cell.pass_gbps.back() / cell.pass_gbps.front()));
    }
  }
  const double call_bytes = kSmallRows * kColumns * sizeof(float);
  if (small.median() > 0) findings.graph_overhead_us = rounded(call_bytes / small.median() * 1e-3);
  findings.spread = median_of(spreads);
  findings.slowdown = median_of(slowdowns);
  return findings;
}

}  // namespace

const std::vector<std::string>& probed_types() {
  static const std::vector<std::string> types = {"q4_K", "q6_K",   "q5_K", "q8_0",
                                                 "q4_0", "iq4_xs", "f16",  "mxfp4"};
  return types;
}

Result<ComputeFindings> probe_compute(const ComputeProbeOptions& options) {
  const auto stopped = [&] {
    return options.stop != nullptr && options.stop->load(std::memory_order_relaxed);
  };
  std::vector<ggml_type> types;
  for (const std::string& name : options.types) {
    if (const std::optional<ggml_type> type = type_of(name)) types.push_back(*type);
  }
  const size_t weight_bytes =
      std::max<size_t>(round_down(options.weight_bytes, kExpertBytes), kWeightBytesMin);
  const std::unique_ptr<Bench> bench = Bench::create(weight_bytes);
  if (bench == nullptr) {
    return Status(StatusCode::failed, fmt::format("no {} of memory to measure the processor with",
                                                  format_bytes(weight_bytes)));
  }
  std::vector<Cell> cells;
  for (const ggml_type type : types) {
    for (const int threads : options.threads) cells.push_back({.type = type, .threads = threads});
  }
  if (cells.empty()) return ComputeFindings{};
  const int steps = kPasses * static_cast<int>(cells.size());
  const double seconds = std::clamp(options.seconds / (3 * steps), kSecondsMin, kSecondsMax);

  Repeated small;
  std::map<int, Repeated> chained;  // by threads, in 1e9 nodes a second
  const double begin = now_seconds();
  for (int step = 0; step < steps && !stopped(); ++step) {
    const bool first_pass = step < static_cast<int>(cells.size());
    const double took = now_seconds() - begin;
    if (took > options.seconds && (!first_pass || took > 2 * options.seconds)) break;
    Cell& cell = cells[static_cast<size_t>(step) % cells.size()];
    if (step % static_cast<int>(cells.size()) == 0) {
      small.add(small_calls(*bench, options.threads.front(), options.stop));
      for (const int threads : options.threads) {
        chained[threads].add(chained_nodes(*bench, threads, options.stop));
      }
    }
    if (cell.threads == options.threads.front()) bench->fill(cell.type);
    measure_cell(*bench, cell, seconds, options.stop);
    if (options.progress) options.progress((step + 1.0) / steps);
  }
  if (stopped()) {
    return Status(StatusCode::interrupted, "interrupted while measuring the processor");
  }
  ComputeFindings findings = findings_of(cells, small, options.threads.front());
  for (const auto& [threads, rates] : chained) {
    if (rates.empty()) continue;
    findings.nodes.push_back({.threads = threads, .node_us = rounded(1e-3 / rates.median())});
  }
  return findings;
}

struct TokenProbe::State {
  std::unique_ptr<Bench> bench;
  std::unique_ptr<Operation> token;
};

TokenProbe::TokenProbe(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenProbe::~TokenProbe() = default;

std::unique_ptr<TokenProbe> TokenProbe::create(const std::string& type, int threads,
                                               uint64_t weight_bytes) {
  const std::optional<ggml_type> known = type_of(type);
  if (!known.has_value()) return nullptr;
  auto state = std::make_unique<State>();
  state->bench = Bench::create(std::max<size_t>(weight_bytes, kWeightBytesMin));
  if (state->bench == nullptr) return nullptr;
  state->bench->fill(*known);
  state->bench->set_threads(threads);
  state->token = std::make_unique<Operation>(*state->bench);
  const auto rows = static_cast<int64_t>(kMatrixBytes / ggml_row_size(*known, kColumns));
  if (!state->token->token(*known, rows, 1)) return nullptr;
  return std::unique_ptr<TokenProbe>(new TokenProbe(std::move(state)));
}

Repeated TokenProbe::measure(double seconds, const std::atomic<bool>* stop) {
  return state_->token->measure(seconds, stop);
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> names;
  ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(cpu_device());
  const auto features = reinterpret_cast<ggml_backend_get_features_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_get_features"));
  if (features == nullptr) return names;
  for (const ggml_backend_feature* feature = features(registry); feature->name != nullptr;
       ++feature) {
    if (std::strcmp(feature->value, "0") != 0) names.emplace_back(feature->name);
  }
  return names;
}

}  // namespace hypura
