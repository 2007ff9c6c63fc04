// hypura_replay: what share of expert uses each eviction policy would have served from its slots.
//
//   hypura_replay TRACE [--shares 6,12.5,25] [--pools layer|shared]
//                 [--phase decode|decode-cold|all] [--use-rate QUICK,SLOW,UNLEARNING]...
//
// Traces come from `hypura trace`. Prints a table in Markdown; docs/benchmarks.md has the commands,
// docs/experiments.md the results.

#include "replay.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policies.h"

namespace hypura {
namespace {

constexpr double kProtectedShare = 0.8;  // of SLRU, as it is usual

struct Contender {
  std::string name;
  MakePolicy make;
};

Contender use_rate(const std::string& name, const UseRateOptions& options) {
  return {name, [options](const PoolTrace& trace, uint32_t slots) {
            return make_use_rate_policy(trace.keys, slots, options);
          }};
}

Contender frequency(const std::string& name, double half_life_uses) {
  return {name, [half_life_uses](const PoolTrace& trace, uint32_t slots) {
            return make_frequency_policy(trace.keys, slots, half_life_uses);
          }};
}

std::vector<Contender> contenders(const std::vector<std::vector<double>>& use_rates) {
  std::vector<Contender> all;
  all.push_back({"LRU", [](const PoolTrace&, uint32_t slots) { return make_lru_policy(slots); }});
  all.push_back({"LFU of those resident", [](const PoolTrace& trace, uint32_t slots) {
                   return make_resident_frequency_policy(trace.keys, slots);
                 }});
  all.push_back(frequency("LFU of all history (layer-LFU)", kNoHalfLife));
  for (const double half_life : {64, 256, 1024}) {
    all.push_back(frequency(fmt::format("LRFU, half-life {} uses", half_life), half_life));
  }
  all.push_back({"SLRU", [](const PoolTrace&, uint32_t slots) {
                   return make_slru_policy(slots, kProtectedShare);
                 }});
  all.push_back({"2Q", [](const PoolTrace& trace, uint32_t slots) {
                   return make_two_queues_policy(trace.keys, slots);
                 }});
  all.push_back(use_rate("use-rate (shipped)", {}));
  for (const std::vector<double>& values : use_rates) {
    all.push_back(use_rate(fmt::format("use-rate {}, {}, {}", values[0], values[1], values[2]),
                           {.half_life_uses = {values[0], values[1]}, .unlearning = values[2]}));
  }
  all.push_back({"fixed ranking, by hindsight", make_hindsight_policy});
  all.push_back({"Belady", make_belady_policy});
  return all;
}

void print_table(const RoutingTrace& trace, Pools pools, Counted counted,
                 const std::vector<double>& shares, const std::vector<Contender>& policies) {
  const std::vector<PoolTrace> traces = pool_traces(trace, pools, counted);
  fmt::print("| hit % at slots for |");
  for (const double share : shares) fmt::print(" {} % |", share);
  fmt::print("\n| --- |");
  for (size_t i = 0; i < shares.size(); ++i) fmt::print(" --- |");
  fmt::print("\n");
  for (const Contender& policy : policies) {
    fmt::print("| {} |", policy.name);
    for (const double share : shares) {
      ReplayCount sum;
      for (const PoolTrace& pool : traces) {
        const uint32_t slots = std::max(1u, static_cast<uint32_t>(share / 100 * pool.keys));
        const ReplayCount count = replay(pool, slots, policy.make);
        sum.uses += count.uses;
        sum.hits += count.hits;
      }
      fmt::print(
          " {:.1f} |",
          sum.uses == 0 ? 0 : 100 * static_cast<double>(sum.hits) / static_cast<double>(sum.uses));
      std::fflush(stdout);
    }
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace hypura

int main(int argc, char** argv) {
  using namespace hypura;
  CLI::App app("Replays routing traces through caches of experts");
  std::string path;
  std::vector<double> shares = {3, 6, 12.5, 25, 37.5, 50, 75};
  std::vector<std::vector<double>> use_rates;
  Pools pools = Pools::per_layer;
  Counted counted = Counted::decode;
  const std::map<std::string, Pools> pool_names = {{"layer", Pools::per_layer},
                                                   {"shared", Pools::shared}};
  const std::map<std::string, Counted> phase_names = {
      {"decode", Counted::decode}, {"decode-cold", Counted::decode_cold}, {"all", Counted::all}};
  app.add_option("TRACE", path, "a routing trace, CSV")->required();
  app.add_option("--shares", shares, "slots in % of the experts")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--pools", pools, "a cache for each layer, or one that all share")
      ->transform(CLI::CheckedTransformer(pool_names));
  app.add_option(
         "--phase", counted,
         "what counts: decode (the prompt warms the caches), decode-cold (it does not), all")
      ->transform(CLI::CheckedTransformer(phase_names));
  app.add_option_function<std::vector<double>>(
         "--use-rate",
         [&](const std::vector<double>& values) {
           for (size_t i = 0; i + 3 <= values.size(); i += 3) {
             use_rates.emplace_back(values.begin() + static_cast<ptrdiff_t>(i),
                                    values.begin() + static_cast<ptrdiff_t>(i) + 3);
           }
         },
         "the shipped policy with other half-lives and unlearning, one more row")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  const Result<RoutingTrace> trace = read_routing_csv(path);
  if (!trace.ok()) {
    fmt::print(stderr, "{}\n", trace.status().to_string());
    return 1;
  }
  print_table(*trace, pools, counted, shares, contenders(use_rates));
  return 0;
}
