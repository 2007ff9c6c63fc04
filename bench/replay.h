#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cache/eviction_policy.h"
#include "trace/routing_csv.h"

namespace hypura {

// What one cache of experts saw: groups of keys that one token needs together.
struct PoolTrace {
  struct Group {
    std::vector<uint32_t> keys;  // distinct
    bool counted = true;
  };
  uint32_t keys = 0;
  std::vector<Group> groups;
};

enum class Pools { per_layer, shared };           // a cache for each layer, or one for all
enum class Counted { decode, decode_cold, all };  // cold: the prompt does not even warm the caches

std::vector<PoolTrace> pool_traces(const RoutingTrace& trace, Pools pools, Counted counted);

struct ReplayCount {
  uint64_t uses = 0;
  uint64_t hits = 0;
};

using MakePolicy =
    std::function<std::unique_ptr<EvictionPolicy>(const PoolTrace& trace, uint32_t slots)>;

// Runs a trace through a slot table as the residency does: a token's experts are known together,
// those that are there are leased, then the missing ones are loaded and leased too. If there are
// fewer slots than that, what was leased is used and let go first. A use is a hit if the expert was
// there when the token's experts became known.
ReplayCount replay(const PoolTrace& trace, uint32_t slots, const MakePolicy& make_policy);

}  // namespace hypura
