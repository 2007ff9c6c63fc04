#include "plugin/hosted_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/units.h"
#include "machine/memory.h"
#include "plan/placement.h"
#include "plugin/host_mapping.h"
#include "plugin/say.h"

namespace hypura {
namespace {

// What `auto` may take: what the machine has available, less the buffers of the graph at hand,
// which are allocated but not touched yet.
uint64_t automatic_bytes(uint64_t buffer_bytes) {
  const uint64_t bytes = static_cast<uint64_t>(kAutoShare * static_cast<double>(available_bytes()));
  return saturating_subtract(bytes, buffer_bytes);
}

std::string hit_rate(const char* what, uint64_t hits, uint64_t misses) {
  if (hits + misses == 0) return std::string();
  return fmt::format(", {} hits {:.1f} %", what,
                     100.0 * static_cast<double>(hits) / static_cast<double>(hits + misses));
}

}  // namespace

Result<std::unique_ptr<HostedModel>> HostedModel::open(const std::string& path,
                                                       const RamBudget& budget) {
  Result<ModelIndex> index = ModelIndex::open(path);
  if (!index.ok()) return index.status();
  std::unique_ptr<HostedModel> model(new HostedModel(*std::move(index), budget));
  Result<std::unique_ptr<StreamedModel>> streamed = StreamedModel::create(
      model->index_,
      {.prepare = [owner = model.get()](uint64_t bytes) { return owner->prepare(bytes); },
       .report = [](const Status& error) { say(error); }});
  if (!streamed.ok()) return streamed.status();
  model->streamed_ = *std::move(streamed);
  return model;
}

HostedModel::HostedModel(ModelIndex index, const RamBudget& budget)
    : index_(std::move(index)), budget_(budget), mappings_(index_.shards().size()) {}

HostedModel::~HostedModel() {
  if (streamed_ != nullptr && streamed_->residency() != nullptr) say(summary());
}

bool HostedModel::claim(const std::string& path, const void* mapping) {
  for (size_t shard = 0; shard < mappings_.size(); ++shard) {
    std::error_code ignored;
    if (mappings_[shard] != nullptr ||
        !std::filesystem::equivalent(index_.shards()[shard].path, path, ignored)) {
      continue;
    }
    mappings_[shard] = mapping;
    return true;
  }
  return false;
}

// The budget is what we allocate: weights, and scratch to compute groups of experts. KV cache and
// compute buffers are the host's.
Status HostedModel::prepare(uint64_t buffer_bytes) {
  if (Status status = refuse_locked(); !status.ok()) return status;
  const GraphDemand& demand = streamed_->demand();
  PlacementInput input{
      .uses = streamed_->uses(),
      .copies_routers = true,
      .experts_used = static_cast<uint32_t>(index_.info().expert_used_count),
      .rows_per_graph = demand.rows_per_graph,
  };
  const uint64_t minimum = minimum_weight_budget(index_, input) + demand.scratch_bytes;
  budget_bytes_ = resolve(budget_, {.weights = index_.info().weight_bytes,
                                    .automatic = automatic_bytes(buffer_bytes),
                                    .minimum = minimum});
  if (budget_bytes_ < minimum) {
    return Status(StatusCode::does_not_fit,
                  fmt::format("plan does not fit: weights need {} of RAM, the budget is {}",
                              format_bytes(minimum), format_bytes(budget_bytes_)))
        .suggest("HYPURA_RAM_BUDGET=min, or a smaller -ub");
  }
  input.weight_budget = budget_bytes_ - demand.scratch_bytes;
  Result<Layout> layout = place(index_, input);
  if (!layout.ok()) return layout.status();

  device_ = make_block_device({});
  Result<std::unique_ptr<Residency>> residency =
      Residency::create(index_, *std::move(layout), *device_);
  if (!residency.ok()) return residency.status();
  if (Status status = (*residency)->load_pinned({}); !status.ok()) return status;
  streamed_->attach(*std::move(residency), {.predictor = Prefetch::router});
  return Status();
}

Status HostedModel::refuse_locked() const {
  for (const void* mapping : mappings_) {
    if (mapping == nullptr) continue;
    const Result<HostMapping> found = find_mapping(mapping);
    if (!found.ok()) return found.status();
    if (found->locked_bytes == 0) continue;
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} of {} are locked in RAM, outside of any budget",
                              format_bytes(found->locked_bytes), found->path))
        .suggest("--load-mode mmap");
  }
  return Status();
}

std::string HostedModel::summary() const {
  const Residency& residency = *streamed_->residency();
  const ResidencyStats stats = residency.stats();
  const Layout& layout = residency.layout();
  return fmt::format(
      "mode {}, {} of {} weights pinned and {} of slots in a budget of {}; read {} ({}), waited "
      "{:.2f} s for the drive{}{}",
      to_string(mode_of(layout)), format_bytes(layout.pinned_bytes),
      format_bytes(index_.info().weight_bytes),
      format_bytes(layout.total_bytes() - layout.pinned_bytes), format_bytes(budget_bytes_),
      format_bytes(stats.bytes_read),
      streamed_->residency()->reader().direct() ? "direct" : "through the page cache",
      static_cast<double>(stats.stall_ns) * 1e-9,
      hit_rate("expert", stats.expert_hits, stats.expert_misses),
      hit_rate("dense", stats.dense_hits, stats.dense_misses));
}

}  // namespace hypura
