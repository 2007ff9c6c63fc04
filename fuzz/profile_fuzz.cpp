// Any bytes as a machine profile: the reader must answer, and what it accepts keeps the promises
// that the planner builds on, and survives being written and read again.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "machine/profile_json.h"

namespace {

void check_rate(double value) {
  HYPURA_CHECK(std::isfinite(value));
  HYPURA_CHECK(value >= 0);
  HYPURA_CHECK(value <= 1e9);
}

void check_compute(const std::vector<hypura::ComputeSample>& samples) {
  HYPURA_CHECK(samples.size() <= 1024);
  for (const hypura::ComputeSample& sample : samples) {
    HYPURA_CHECK(sample.threads >= 0);
    check_rate(sample.token_gbps);
    check_rate(sample.batch_gbps);
    check_rate(sample.expert_gbps);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  const Result<MachineProfile> profile =
      parse_profile(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!profile.ok()) {
    HYPURA_CHECK(!profile.status().message().empty());
    HYPURA_CHECK(!profile.status().why().empty());
    return 0;
  }
  HYPURA_CHECK(profile->cores >= 0);
  HYPURA_CHECK(profile->logical_cores >= 0);
  check_rate(profile->memory.read_gbps);
  check_rate(profile->graph_overhead_us);
  check_compute(profile->compute);
  for (const GpuProfile& gpu : profile->gpus) check_compute(gpu.compute);
  for (const DriveSample& sample : profile->drive.samples) {
    check_rate(sample.gbps);
    check_rate(sample.spread);
    check_rate(sample.latency_us);
  }
  const std::string text = profile_json(*profile);
  // What was accepted in few bytes may take more of them when it is written out.
  if (text.size() > kProfileBytesMax) return 0;
  const Result<MachineProfile> again = parse_profile(text);
  HYPURA_CHECK(again.ok());
  HYPURA_CHECK(profile_json(*again) == text);
  return 0;
}
