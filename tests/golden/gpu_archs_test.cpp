// Every architecture that llama.cpp's own test-llama-archs writes, below a GPU that the CPU plays:
// batches computed there give the bits of the whole model in RAM, whatever its graphs are like.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/units.h"
#include "engine/llama_log.h"
#include "golden/arch_models.h"
#include "golden/golden.h"
#include "golden/gpu_budget.h"
#include "golden/host_gpu.h"

namespace hypura::golden {
namespace {

constexpr const char* kNone = "none";  // no batch for the GPU

std::string compare(const Script& script, double share) {
  quiet_llama_log(false);
  EngineOptions options = resident_options(script);
  options.gpu_budget = {.kind = GpuBudget::Kind::none};
  auto in_ram = Engine::open(options);
  if (!in_ram.ok()) return "in RAM: " + in_ram.status().to_string();
  auto reference = run_script(**in_ram, script);
  if (!reference.ok()) return "in RAM: " + reference.status().to_string();
  in_ram->reset();

  register_host_gpu(4 * kGiB, 4 * kGiB);
  auto resident = Engine::open(resident_options(script));
  if (!resident.ok()) return "all on the GPU: " + resident.status().to_string();
  const PlanSummary all = (*resident)->plan();
  const uint64_t room = batch_bytes(all, (*resident)->index());
  resident->reset();
  options = streamed_options(script, {.kind = RamBudget::Kind::minimum});
  options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = room + gpu_bytes(all, share)};
  options.gpu_takes_experts = false;
  options.gpu_takes_batches = true;
  auto engine = Engine::open(options);
  if (!engine.ok()) {
    // The output alone may be more than that.
    const bool too_little = engine.status().message().find("holds no layer") != std::string::npos;
    return too_little ? kNone : engine.status().to_string();
  }
  auto trace = run_script(**engine, script);
  if (!trace.ok()) return trace.status().to_string();
  if (std::string text = difference(*reference, *trace); !text.empty()) return text;
  const auto& gpu = (*engine)->stats().gpu;
  return gpu.has_value() && gpu->copied_bytes > 0 ? std::string() : kNone;
}

TEST(GpuArchs, BatchesGiveTheBitsOfRam) {
  size_t took = 0;
  std::string without;
  const std::vector<Script> scripts =
      arch_scripts(HYPURA_ARCH_DIR, {.prompt_tokens = 73, .generated_tokens = 2});
  for (size_t k = 0; k < scripts.size(); ++k) {
    SCOPED_TRACE(arch_of(scripts[k]));
    const double share = k % 2 == 0 ? 0.4 : 0.7;
    const std::string result = in_child([&] { return compare(scripts[k], share); }, 120);
    if (result == kNone) {
      without += " " + arch_of(scripts[k]);
      continue;
    }
    EXPECT_EQ(result, "");
    ++took;
  }
  EXPECT_GE(took, 100u) << "without:" << without;
}

}  // namespace
}  // namespace hypura::golden
