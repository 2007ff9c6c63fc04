// Any bytes as a routing trace: the reader must answer, and what it accepts keeps the promises that
// a replay builds on.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/check.h"
#include "trace/routing_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  const Result<RoutingTrace> trace =
      parse_routing_csv(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!trace.ok()) return 0;
  HYPURA_CHECK(!trace->tokens.empty());
  HYPURA_CHECK(trace->experts <= 65536);
  for (const TokenRouting& token : trace->tokens) {
    HYPURA_CHECK(token.layer < trace->layers);
    HYPURA_CHECK(!token.experts.empty());
    const std::set<uint32_t> distinct(token.experts.begin(), token.experts.end());
    HYPURA_CHECK(distinct.size() == token.experts.size());
    HYPURA_CHECK(*distinct.rbegin() < trace->experts);
  }
  return 0;
}
