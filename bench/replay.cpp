#include "replay.h"

#include <optional>

#include "base/check.h"
#include "cache/slot_table.h"

namespace hypura {

std::vector<PoolTrace> pool_traces(const RoutingTrace& trace, Pools pools, Counted counted) {
  const bool shared = pools == Pools::shared;
  std::vector<PoolTrace> traces(shared ? 1 : trace.layers);
  for (PoolTrace& pool : traces) pool.keys = trace.experts * (shared ? trace.layers : 1);
  for (const TokenRouting& token : trace.tokens) {
    const bool decode = token.phase == TracePhase::decode;
    if (!decode && counted == Counted::decode_cold) continue;
    PoolTrace::Group group{.keys = token.experts, .counted = decode || counted == Counted::all};
    if (shared) {
      for (uint32_t& key : group.keys) key += token.layer * trace.experts;
    }
    traces[shared ? 0 : token.layer].groups.push_back(std::move(group));
  }
  return traces;
}

ReplayCount replay(const PoolTrace& trace, uint32_t slots, const MakePolicy& make_policy) {
  SlotTable table(trace.keys, slots, make_policy(trace, slots));
  ReplayCount count;
  std::vector<Lease> leases;
  std::vector<SliceId> missing;
  for (const PoolTrace::Group& group : trace.groups) {
    missing.clear();
    for (const uint32_t key : group.keys) {
      if (const std::optional<SlotId> slot = table.find({key})) {
        leases.emplace_back(table, *slot);
      } else {
        missing.push_back({key});
      }
    }
    if (group.counted) {
      count.uses += group.keys.size();
      count.hits += leases.size();
    }
    for (const uint32_t key : group.keys) table.use({key});
    for (const SliceId key : missing) {
      std::optional<SlotId> slot = table.begin_load(key);
      if (!slot) {
        leases.clear();
        slot = table.begin_load(key);
      }
      HYPURA_CHECK(slot.has_value());
      table.finish_load(*slot, true);
      leases.emplace_back(table, *slot);
    }
    leases.clear();
  }
  return count;
}

}  // namespace hypura
