// The planner's account of a layout against what residency really maps for it. It lies here because
// this is the lowest layer that sees both.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "base/units.h"
#include "plan/placement.h"
#include "residency/residency.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their own memory looks like ours
#else
constexpr bool kSanitized = false;
#endif

// Bytes mapped with MAP_NORESERVE, as only arenas are in this process, and how much of them is
// present. nullopt where the system does not tell.
struct Mapped {
  uint64_t bytes = 0;
  uint64_t present_bytes = 0;
};
std::optional<Mapped> mapped_by_arenas() {
  std::ifstream smaps("/proc/self/smaps");
  Mapped sum;
  uint64_t size_kib = 0;
  uint64_t present_kib = 0;
  bool flags_seen = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "Size:") words >> size_kib;
    if (word == "Rss:") words >> present_kib;
    if (word != "VmFlags:") continue;
    flags_seen = true;
    while (words >> word) {
      if (word != "nr") continue;
      sum.bytes += size_kib * kKiB;
      sum.present_bytes += present_kib * kKiB;
    }
  }
  return flags_seen ? std::optional(sum) : std::nullopt;
}

// Two layers with experts that lie in place and packed, some dense weights, tied embeddings.
DrawnModel mixture(std::vector<TensorUse>& uses) {
  GgufBytes file;
  file.text("general.architecture", "tiny").number("tiny.block_count", 2);
  file.number("tiny.expert_count", 8).number("tiny.expert_used_count", 2);
  const auto add = [&](const std::string& name, const std::vector<int64_t>& ne, TensorUse use) {
    uint64_t bytes = 4;
    for (const int64_t n : ne) bytes *= static_cast<uint64_t>(n);
    file.tensor({.name = name, .ne = ne, .bytes = bytes});
    use.mapped = true;
    uses.push_back(use);
  };
  add("token_embd.weight", {64, 1024}, {.matmul = true, .rows = true});
  add("position_embd.weight", {64, 500}, {.rows = true});
  for (const std::string block : {"blk.0.", "blk.1."}) {
    add(block + "attn_norm.weight", {64}, {.whole = true});
    add(block + "attn_q.weight", {64, 1024}, {.matmul = true});
    add(block + "ffn_up_exps.weight", {64, 48, 8}, {.experts = true});
    add(block + "ffn_down_exps.weight", {48, 50, 8}, {.experts = true});
    add(block + "attn_output.weight", {64, 1000}, {.matmul = true});
  }
  return DrawnModel({file});
}

TEST(LayoutMemory, IsWhatThePlanCounted) {
  // A first thread gets the allocator's heap for threads mapped, which would count as ours.
  std::thread([] { delete std::make_unique<int>().release(); }).join();
  const std::optional<Mapped> before = mapped_by_arenas();
  if (!before || kSanitized) GTEST_SKIP() << "no telling what is mapped here";
  PlacementInput input{.experts_used = 2, .rows_per_graph = 100};
  const DrawnModel model = mixture(input.uses);
  const uint64_t minimum = minimum_weight_budget(model.index(), input);
  const uint64_t everything = minimum + 2 * model.index().info().weight_bytes;
  for (int step = 0; step <= 12; ++step) {
    input.weight_budget = minimum + (everything - minimum) * static_cast<uint64_t>(step) / 12;
    SCOPED_TRACE(input.weight_budget);
    const Result<Layout> layout = place(model.index(), input);
    ASSERT_TRUE(layout.ok());
    const std::unique_ptr<BlockDevice> device = make_sim_device({});
    const std::unique_ptr<Residency> residency =
        *Residency::create(model.index(), *layout, *device);
    ASSERT_TRUE(residency->load_pinned(nullptr).ok());
    Mapped now = *mapped_by_arenas();
    // Pools become present in the background.
    for (int wait = 0; wait < 1000; ++wait) {
      if (now.present_bytes - before->present_bytes == now.bytes - before->bytes) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      now = *mapped_by_arenas();
    }
    EXPECT_EQ(now.bytes - before->bytes, layout->total_bytes() - layout->table_bytes);
    EXPECT_EQ(now.present_bytes - before->present_bytes, now.bytes - before->bytes);
  }
}

}  // namespace
}  // namespace hypura
