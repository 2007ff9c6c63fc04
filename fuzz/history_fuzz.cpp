// Any bytes as a history of past runs: the reader must answer, and what it accepts is bounded, can
// be divided and has a logarithm, and comes back as it was.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "plan/history.h"

namespace {

void check_speed(const hypura::PastSpeed& speed) {
  if (!speed.known()) return;
  HYPURA_CHECK(std::isfinite(std::log(speed.actual_tps / speed.predicted_tps)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  const Result<std::vector<PastRun>> runs =
      parse_history(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!runs.ok()) {
    HYPURA_CHECK(!runs.status().message().empty());
    HYPURA_CHECK(!runs.status().why().empty());
    return 0;
  }
  HYPURA_CHECK(runs->size() <= kPastRunsMax);
  for (const PastRun& run : *runs) {
    HYPURA_CHECK(run.decode.known() || run.prompt.known());
    HYPURA_CHECK(run.kind.profile.size() == 16);
    HYPURA_CHECK(run.kind.mode != Mode::automatic);
    check_speed(run.decode);
    check_speed(run.prompt);
  }
  const std::string text = history_json(*runs);
  HYPURA_CHECK(text.size() <= kHistoryBytesMax);
  const Result<std::vector<PastRun>> again = parse_history(text);
  HYPURA_CHECK(again.ok());
  HYPURA_CHECK(history_json(*again) == text);
  return 0;
}
