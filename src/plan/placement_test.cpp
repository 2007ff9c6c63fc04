#include "plan/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

constexpr uint32_t kIQ4_NL = 20;  // 32 elements in 18 bytes

// A model of some shape, the use graphs make of it, and its placement at any budget.
class Case {
 public:
  Case(uint32_t layers, uint32_t experts, uint32_t experts_used) : experts_(experts) {
    file_.text("general.architecture", "tiny").number("tiny.block_count", layers);
    if (experts > 0) {
      file_.number("tiny.expert_count", experts).number("tiny.expert_used_count", experts_used);
    }
    input_.experts_used = experts_used;
    input_.rows_per_graph = 16;
  }

  Case& add(const std::string& name, const std::vector<int64_t>& ne, const TensorUse& use,
            uint32_t type = GgufBytes::kF16) {
    uint64_t elements = 1;
    for (const int64_t n : ne) elements *= static_cast<uint64_t>(n);
    uint64_t bytes = elements * 2;
    if (type == GgufBytes::kF32) bytes = elements * 4;
    if (type == GgufBytes::kQ8_0) bytes = elements / 32 * 34;
    if (type == kIQ4_NL) bytes = elements / 32 * 18;
    file_.tensor({.name = name, .ne = ne, .type = type, .bytes = bytes});
    input_.uses.push_back(use);
    return *this;
  }
  Case& add_block(const std::string& block, uint32_t type = GgufBytes::kF16) {
    add(block + "attn_norm.weight", {256}, kWhole, GgufBytes::kF32);
    add(block + "attn_q.weight", {256, 256}, kMatmul, type);
    add(block + "attn_output.weight", {256, 192}, kMatmul, type);
    if (experts_ == 0) {
      add(block + "ffn_up.weight", {256, 512}, kMatmul, type);
      add(block + "ffn_down.weight", {512, 256}, kMatmul, type);
      return *this;
    }
    add(block + "ffn_gate_inp.weight", {256, experts_}, kMatmul, GgufBytes::kF32);
    add(block + "ffn_up_exps.weight", {256, 32, experts_}, kExperts, type);
    add(block + "ffn_down_exps.weight", {32, 256, experts_}, kExperts, type);
    return *this;
  }

  // After the last add().
  Case& build() {
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file_.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    return *this;
  }

  const ModelIndex& index() const { return index_; }
  PlacementInput& input() { return input_; }
  uint64_t minimum() const { return minimum_weight_budget(index_, input_); }
  // Enough for all of it several times over.
  uint64_t plenty() const { return 4 * index_.info().weight_bytes + 16 * kMiB + minimum(); }
  Result<Layout> place_in(uint64_t budget) const {
    PlacementInput input = input_;
    input.weight_budget = budget;
    return place(index_, input);
  }
  const TensorHome& home(const Layout& layout, const char* name) const {
    return layout.homes[index_.find(name)->value];
  }

  void expect_valid(const Layout& layout, uint64_t budget) const;

  static constexpr TensorUse kUnmapped{};
  static constexpr TensorUse kUnseen{.mapped = true};
  static constexpr TensorUse kWhole{.mapped = true, .whole = true};
  static constexpr TensorUse kMatmul{.mapped = true, .matmul = true};
  static constexpr TensorUse kExperts{.mapped = true, .experts = true};
  static constexpr TensorUse kRows{.mapped = true, .rows = true};
  static constexpr TensorUse kTied{.mapped = true, .matmul = true, .rows = true};

 private:
  void expect_home(const TensorInfo& tensor, const TensorUse& use, const TensorHome& home,
                   const Layout& layout) const;
  void expect_pools(const Layout& layout) const;

  TestDirectory directory_;
  GgufBytes file_;
  uint32_t experts_;
  ModelIndex index_;
  PlacementInput input_;
};

// All that a layout promises, whatever the budget.
void Case::expect_valid(const Layout& layout, uint64_t budget) const {
  EXPECT_LE(layout.total_bytes(), budget);
  ASSERT_EQ(layout.homes.size(), index_.tensors().size());
  bool streams = false;
  for (uint32_t i = 0; i < layout.homes.size(); ++i) {
    SCOPED_TRACE(index_.tensors()[i].name);
    expect_home(index_.tensors()[i], input_.uses[i], layout.homes[i], layout);
    streams = streams || layout.homes[i].home == Home::stream;
  }
  EXPECT_EQ(layout.ring_bytes, streams ? layout.ring_slots * layout.ring_slot_bytes : 0);
  EXPECT_TRUE(!streams || layout.ring_slots >= 3);
  expect_pools(layout);
}

// A home is one that every use seen of the tensor can live with.
void Case::expect_home(const TensorInfo& tensor, const TensorUse& use, const TensorHome& home,
                       const Layout& layout) const {
  const bool seen = use.matmul || use.experts || use.rows || use.whole;
  const uint64_t row_bytes = tensor.bytes / static_cast<uint64_t>(tensor.elements() / tensor.ne[0]);
  EXPECT_EQ(home.home == Home::unused, !use.mapped);
  EXPECT_LE(home.row_slots, tensor.ne[1]);
  switch (home.home) {
    case Home::unused:
    case Home::pinned:
      EXPECT_EQ(home.row_slots, 0u);
      break;
    case Home::repacked:
      ADD_FAILURE() << "nobody asked for it";
      break;
    case Home::stream:
      EXPECT_TRUE(!seen || use.matmul);
      EXPECT_FALSE(use.whole || use.experts);
      EXPECT_EQ(use.rows, home.row_slots > 0);
      EXPECT_EQ(tensor.ne[2] * tensor.ne[3], 1);
      EXPECT_GT(home.piece_rows, 0);
      EXPECT_LE(home.piece_rows, tensor.ne[1]);
      EXPECT_TRUE(home.piece_rows == tensor.ne[1] ||
                  (home.piece_rows % 64 == 0 && tensor.ne[1] % 64 == 0))
          << "kernels notice other cuts";
      EXPECT_LE(widened_bytes(static_cast<uint64_t>(home.piece_rows) * row_bytes),
                layout.ring_slot_bytes);
      break;
    case Home::experts: {
      EXPECT_FALSE(use.whole || use.matmul || use.rows);
      EXPECT_GT(tensor.expert_count, 0u);
      ASSERT_LT(home.pool, layout.pools.size());
      const std::vector<TensorId>& members = layout.pools[home.pool].tensors;
      EXPECT_EQ(std::count(members.begin(), members.end(), *index_.find(tensor.name)), 1);
      break;
    }
    case Home::rows:
      EXPECT_TRUE(use.rows);
      EXPECT_FALSE(use.whole || use.matmul || use.experts);
      EXPECT_GT(home.row_slots, 0u);
      break;
  }
}

void Case::expect_pools(const Layout& layout) const {
  size_t pooled = 0;
  for (const TensorHome& home : layout.homes) pooled += home.home == Home::experts;
  for (const PoolLayout& pool : layout.pools) {
    pooled -= pool.tensors.size();
    ASSERT_FALSE(pool.tensors.empty());
    const TensorInfo& first = index_.tensor(pool.tensors.front());
    for (const TensorId id : pool.tensors) {
      const TensorInfo& tensor = index_.tensor(id);
      EXPECT_EQ(tensor.expert_bytes(), pool.slice_bytes) << tensor.name;
      EXPECT_EQ(tensor.ne[0], first.ne[0]) << "a slot's shape is its pool's";
      EXPECT_EQ(tensor.type, first.type);
      EXPECT_LE(pool.slots, tensor.expert_count) << tensor.name;
      EXPECT_GE(pool.slots, std::clamp(input_.experts_used, 1u, tensor.expert_count));
    }
    const bool contiguous = std::string(type_name(first.type)).starts_with("IQ");
    EXPECT_EQ(pool.packed, contiguous || pool.slice_bytes % kBlockBytes != 0) << first.name;
  }
  EXPECT_EQ(pooled, 0u) << "a pool for every expert tensor, and once";
  for (const PoolLayout& transit : layout.transits) {
    EXPECT_GT(transit.slots, 0u);
    for (const TensorId id : transit.tensors) {
      const TensorInfo& tensor = index_.tensor(id);
      EXPECT_EQ(layout.homes[id.value].home, Home::experts) << tensor.name;
      EXPECT_EQ(layout.pools[layout.homes[id.value].pool].packed, transit.packed) << tensor.name;
      EXPECT_LE(tensor.expert_bytes(), transit.slice_bytes) << tensor.name;
      EXPECT_TRUE(!transit.packed || tensor.expert_bytes() == transit.slice_bytes) << tensor.name;
    }
  }
}

// Everything a layout decides, as text.
std::string describe(const Layout& layout) {
  std::string text;
  const auto put = [&](uint64_t value) { text += std::to_string(value) + " "; };
  for (const TensorHome& home : layout.homes) {
    put(static_cast<uint64_t>(home.home));
    put(static_cast<uint64_t>(home.piece_rows));
    put(home.pool);
    put(home.row_slots);
  }
  for (const PoolLayout& pool : layout.pools) {
    put(pool.slots);
    put(pool.packed);
    for (const TensorId id : pool.tensors) put(id.value);
  }
  for (const PoolLayout& transit : layout.transits) put(transit.slots);
  put(layout.ring_slots);
  put(layout.total_bytes());
  return text;
}

uint64_t slots_of(const Layout& layout) {
  uint64_t slots = 0;
  for (const PoolLayout& pool : layout.pools) slots += pool.slots;
  return slots;
}

// Valid at every budget, tight at the least, more with more, all of it in the end.
void sweep(const Case& model, int budgets = 120) {
  const uint64_t minimum = model.minimum();
  const Status refused = model.place_in(minimum - 1).status();
  EXPECT_EQ(refused.code(), StatusCode::does_not_fit);
  EXPECT_NE(refused.message().find(format_bytes(minimum)), std::string::npos) << refused.message();

  uint64_t slots = 0;
  for (int i = 0; i <= budgets; ++i) {
    const double grow = static_cast<double>(i) / budgets;
    const uint64_t extra =
        static_cast<uint64_t>(grow * grow * static_cast<double>(model.plenty() - minimum));
    const uint64_t budget = minimum + extra;
    SCOPED_TRACE(budget);
    const Result<Layout> layout = model.place_in(budget);
    ASSERT_TRUE(layout.ok()) << layout.status().to_string();
    model.expect_valid(*layout, budget);
    if (testing::Test::HasFailure()) return;
    EXPECT_EQ(describe(*layout), describe(*model.place_in(budget)));
    slots = slots_of(*layout);
  }

  const Layout all = *model.place_in(model.plenty());
  EXPECT_EQ(all.ring_bytes, 0u);
  EXPECT_EQ(all.row_bytes, 0u);
  EXPECT_TRUE(all.transits.empty());
  EXPECT_EQ(slots, slots_of(all));
  for (const TensorHome& home : all.homes) {
    EXPECT_TRUE(home.home == Home::pinned || home.home == Home::experts ||
                home.home == Home::unused);
  }
  for (const PoolLayout& pool : all.pools) {
    EXPECT_EQ(pool.tensors.size(), 1u);
    EXPECT_EQ(pool.slots, model.index().tensor(pool.tensors[0]).expert_count);
  }
}

void add_blocks(Case& model, uint32_t layers) {
  for (uint32_t i = 0; i < layers; ++i) model.add_block("blk." + std::to_string(i) + ".");
}

Case& dense(Case& model, uint32_t layers) {
  model.add("token_embd.weight", {256, 1024}, Case::kRows);
  add_blocks(model, layers);
  model.add("output_norm.weight", {256}, Case::kWhole, GgufBytes::kF32);
  model.add("output.weight", {256, 1024}, Case::kMatmul);
  return model.build();
}

TEST(Placement, Dense) {
  Case model(12, 0, 0);
  sweep(dense(model, 12));
}

TEST(Placement, Mixture) {
  Case model(6, 16, 4);
  sweep(dense(model, 6));
}

TEST(Placement, TiedEmbeddings) {
  Case model(4, 0, 0);
  model.add("token_embd.weight", {256, 2048}, Case::kTied);
  add_blocks(model, 4);
  sweep(model.build());
  const Layout least = *model.place_in(model.minimum());
  EXPECT_EQ(model.home(least, "token_embd.weight").home, Home::stream);
  EXPECT_EQ(model.home(least, "token_embd.weight").row_slots, 64u);
}

TEST(Placement, AVocabularyThatCannotBeCutIsPinned) {
  Case model(4, 0, 0);
  add_blocks(model, 4);
  model.add("output.weight", {256, 50257}, Case::kMatmul);
  sweep(model.build(), 40);
  EXPECT_EQ(model.home(*model.place_in(model.minimum()), "output.weight").home, Home::pinned);
}

TEST(Placement, ASmallMatrixThatCannotBeCutIsOnePiece) {
  Case model(4, 0, 0);
  model.add("blk.0.attn_q.weight", {256, 77}, Case::kMatmul);
  for (const char* block : {"blk.1.", "blk.2.", "blk.3."}) model.add_block(block);
  sweep(model.build());
  const Layout least = *model.place_in(model.minimum());
  EXPECT_EQ(model.home(least, "blk.0.attn_q.weight").piece_rows, 77);
}

TEST(Placement, MixedTypesAndPackedPools) {
  Case model(3, 8, 2);
  add_blocks(model, 1);
  model.add("blk.1.ffn_up_exps.weight", {64, 9, 8}, Case::kExperts, GgufBytes::kQ8_0);  // 612 B
  model.add("blk.1.ffn_down_exps.weight", {32, 256, 8}, Case::kExperts);  // 16 KiB: in place
  model.add("blk.2.ffn_up_exps.weight", {256, 64, 8}, Case::kExperts, kIQ4_NL);  // 9 KiB
  model.add("blk.2.ffn_down_exps.weight", {256, 512, 8}, Case::kExperts, kIQ4_NL);  // 18 blocks
  sweep(model.build());
  const Layout layout = *model.place_in(model.minimum());
  const auto pool = [&](const char* name) {
    return layout.pools[model.home(layout, name).pool];
  };
  EXPECT_TRUE(pool("blk.1.ffn_up_exps.weight").packed);
  EXPECT_FALSE(pool("blk.1.ffn_down_exps.weight").packed);
  EXPECT_TRUE(pool("blk.2.ffn_down_exps.weight").packed)
      << "kernels for IQ types want contiguous experts (docs/adr/0007)";
}

// Slots that a batch's experts pass through: a small share of the budget, one group for all that is
// read in place and one for each shape that is not.
TEST(Placement, TransitSlots) {
  Case model(3, 512, 2);
  model.add("blk.0.ffn_up_exps.weight", {256, 16, 512}, Case::kExperts);    // 8 KiB: in place
  model.add("blk.0.ffn_down_exps.weight", {256, 32, 512}, Case::kExperts);  // 16 KiB: in place
  model.add("blk.1.ffn_up_exps.weight", {64, 99, 512}, Case::kExperts, GgufBytes::kQ8_0);
  model.add("blk.2.ffn_up_exps.weight", {256, 64, 512}, Case::kExperts, kIQ4_NL);
  model.build();
  const uint64_t budget = 16 * kMiB;
  const Layout layout = *model.place_in(budget);
  ASSERT_EQ(layout.transits.size(), 3u);
  uint64_t bytes = 0;
  for (const PoolLayout& transit : layout.transits) {
    const uint64_t slot = widened_bytes(transit.slice_bytes) + transit.packed * transit.slice_bytes;
    EXPECT_LE(transit.slots * slot, budget / 64 / 3) << transit.slice_bytes;
    EXPECT_GT((transit.slots + 1) * slot, budget / 64 / 3) << transit.slice_bytes;
    bytes += transit.slots * (transit.packed ? transit.slice_bytes : slot);
  }
  EXPECT_NEAR(static_cast<double>(layout.transit_bytes), static_cast<double>(bytes),
              2 * kBlockBytes);
  const PoolLayout& in_place = layout.transits.back();
  EXPECT_FALSE(in_place.packed);
  EXPECT_EQ(in_place.tensors.size(), 2u);
  EXPECT_EQ(in_place.slice_bytes, 16 * kKiB);

  model.input().passes_experts = false;
  EXPECT_TRUE(model.place_in(budget)->transits.empty());
  EXPECT_GT(slots_of(*model.place_in(budget)), slots_of(layout));
}

TEST(Placement, OddUses) {
  Case model(2, 8, 2);
  model.add("blk.0.unused.weight", {256, 256}, Case::kUnmapped);
  model.add("blk.0.unseen.weight", {256, 256}, Case::kUnseen);
  model.add("blk.0.unseen_norm.weight", {256}, Case::kUnseen, GgufBytes::kF32);
  model.add("blk.0.unseen_cube.weight", {64, 4, 4}, Case::kUnseen);
  model.add("blk.0.ffn_up_exps.weight", {256, 32, 8}, Case::kUnseen);
  model.add("blk.1.ffn_up_exps.weight", {256, 32, 8},
            {.mapped = true, .experts = true, .whole = true});
  model.add("blk.1.ffn_down_exps.weight", {256, 32, 8},
            {.mapped = true, .matmul = true, .experts = true});
  model.add("blk.1.other.weight", {256, 4, 2}, Case::kExperts);  // its experts are unknown
  model.add("per_layer_embd.weight", {64, 3000}, Case::kRows);
  for (const char* name : {"a", "b", "c"}) model.add(name, {256, 512}, Case::kMatmul);
  sweep(model.build());
  const Layout least = *model.place_in(model.minimum());
  EXPECT_EQ(model.home(least, "blk.0.unseen.weight").home, Home::stream);
  EXPECT_EQ(model.home(least, "blk.0.ffn_up_exps.weight").home, Home::experts);
  for (const char* name : {"blk.0.unseen_norm.weight", "blk.0.unseen_cube.weight",
                           "blk.1.ffn_up_exps.weight", "blk.1.ffn_down_exps.weight",
                           "blk.1.other.weight"}) {
    EXPECT_EQ(model.home(least, name).home, Home::pinned) << name;
  }
  EXPECT_EQ(model.home(least, "per_layer_embd.weight").home, Home::rows);
}

TEST(Placement, ChunkedExpertsHaveTheirOwnCount) {
  Case model(2, 8, 2);
  model.add("blk.0.ffn_up_exps.weight", {256, 32, 8}, Case::kExperts);
  model.add("blk.0.ffn_up_chexps.weight", {256, 32, 3}, Case::kExperts);
  model.add("blk.1.ffn_up_chexps.weight", {256, 32, 3}, Case::kExperts);
  model.add("blk.1.ffn_up_exps.weight", {256, 32, 8}, Case::kExperts);
  sweep(model.build());
}

TEST(Placement, RoutersElsewhereHaveACopyToGuessWith) {
  Case model(3, 8, 2);
  for (const char* block : {"blk.0.", "blk.1.", "blk.2."}) {
    model.add(block + std::string("ffn_gate_inp.weight"), {256, 8}, Case::kUnmapped);
  }
  model.add("blk.1.attn_q.weight", {256, 64}, Case::kUnmapped);
  model.add("blk.1.ffn_gate_inp.bias", {8}, Case::kUnmapped);
  model.add("blk.1.ffn_up_exps.weight", {256, 32, 8}, Case::kExperts);
  model.add("blk.2.ffn_up_exps.weight", {256, 32, 8}, Case::kUnmapped).build();
  const Layout without = *model.place_in(model.plenty());
  const uint64_t least = model.minimum();
  model.input().copies_routers = true;
  EXPECT_EQ(model.minimum(), least);
  const Layout none = *model.place_in(least);
  EXPECT_EQ(none.pinned_bytes, 0u) << "nobody guesses with so few slots";
  const Layout layout = *model.place_in(model.plenty());
  EXPECT_GT(layout.total_bytes(), without.total_bytes()) << "it is paid for";
  for (const TensorInfo& tensor : model.index().tensors()) {
    if (tensor.role == TensorRole::expert) continue;
    const bool copied = tensor.name == "blk.1.ffn_gate_inp.weight";
    EXPECT_EQ(model.home(layout, tensor.name.c_str()).home, copied ? Home::pinned : Home::unused)
        << tensor.name;
  }
}

TEST(Placement, HugeExpertCounts) {
  Case model(3, 2048, 64);
  for (const char* block : {"blk.0.", "blk.1.", "blk.2."}) {
    model.add(block + std::string("ffn_up_exps.weight"), {32, 8, 2048}, Case::kExperts);
    model.add(block + std::string("ffn_down_exps.weight"), {64, 32, 2048}, Case::kExperts);
  }
  sweep(model.build(), 60);
}

TEST(Placement, EveryExpertUsed) {
  Case model(2, 4, 4);
  sweep(dense(model, 2));
}

TEST(Placement, ExpertsNobodyCounted) {
  Case model(2, 4, 0);
  sweep(dense(model, 2));
}

TEST(Placement, NothingIsMapped) {
  Case model(1, 0, 0);
  model.add("output.weight", {256, 64}, Case::kUnmapped).build();
  EXPECT_EQ(model.minimum(), 0u);
  const Result<Layout> layout = model.place_in(0);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->total_bytes(), 0u);
}

TEST(Placement, SharedPoolsSplitAsTheBudgetGrows) {
  Case model(8, 16, 4);
  dense(model, 8);
  const Layout least = *model.place_in(model.minimum());
  EXPECT_EQ(least.pools.size(), 2u) << "one for each shape";
  for (const PoolLayout& pool : least.pools) EXPECT_EQ(pool.slots, 4u);
  size_t pools = 0;
  uint64_t slots = 0;
  for (uint64_t budget = model.minimum(); budget < model.plenty(); budget += 256 * kKiB) {
    const Layout layout = *model.place_in(budget);
    if (layout.ring_bytes > 0) continue;  // dense weights come first
    EXPECT_GE(layout.pools.size(), pools) << budget;
    EXPECT_GE(slots_of(layout), slots) << budget;
    pools = layout.pools.size();
    slots = slots_of(layout);
  }
  EXPECT_EQ(pools, 16u);
  EXPECT_EQ(slots, 16u * 16);
}

// The pinned share of any stretch of the model is that of all of it, give or take one tensor.
TEST(Placement, PinnedDenseWeightsAreSpreadEvenly) {
  Case model(24, 0, 0);
  for (uint32_t i = 0; i < 24; ++i) model.add_block("blk." + std::to_string(i) + ".");
  model.build();
  for (int percent = 20; percent < 100; percent += 10) {
    SCOPED_TRACE(percent);
    const uint64_t budget = model.minimum() + model.index().info().weight_bytes * percent / 100;
    const Result<Layout> layout = model.place_in(budget);
    ASSERT_TRUE(layout.ok());
    std::vector<std::pair<uint64_t, bool>> order;
    uint64_t all = 0;
    uint64_t pinned = 0;
    uint64_t largest = 0;
    for (uint32_t i = 0; i < layout->homes.size(); ++i) {
      if (!model.input().uses[i].matmul) continue;
      const uint64_t bytes = model.index().tensors()[i].bytes;
      order.emplace_back(bytes, layout->homes[i].home == Home::pinned);
      all += bytes;
      if (order.back().second) pinned += bytes;
      largest = std::max(largest, bytes);
    }
    const double share = static_cast<double>(pinned) / static_cast<double>(all);
    double so_far = 0;
    double pinned_so_far = 0;
    for (const auto& [bytes, is_pinned] : order) {
      so_far += static_cast<double>(bytes);
      pinned_so_far += is_pinned ? static_cast<double>(bytes) : 0.0;
      EXPECT_NEAR(pinned_so_far, share * so_far, static_cast<double>(largest));
    }
  }
}

// At one depth of the ring.
TEST(Placement, MoreBudgetNeverPinsLess) {
  Case model(12, 0, 0);
  dense(model, 12);
  std::map<uint32_t, uint64_t> pinned;  // by ring slots
  for (uint64_t budget = model.minimum(); budget < model.plenty(); budget += 16 * kKiB) {
    const Layout layout = *model.place_in(budget);
    uint64_t now = 0;
    for (uint32_t i = 0; i < layout.homes.size(); ++i) {
      if (!model.input().uses[i].matmul) continue;
      if (layout.homes[i].home == Home::pinned) now += model.index().tensors()[i].bytes;
    }
    uint64_t& most = pinned[layout.ring_slots];
    EXPECT_GE(now, most) << budget;
    most = std::max(most, now);
  }
}

// The ring cannot be given back.
TEST(Placement, ABudgetThatMayShrinkHasASmallerRing) {
  Case model(16, 0, 0);
  for (int i = 0; i < 16; ++i) model.add_block("blk." + std::to_string(i) + ".");
  model.build();
  const uint64_t budget = model.minimum() + model.index().info().weight_bytes / 2;
  const Result<Layout> fixed = model.place_in(budget);
  model.input().elastic = true;
  const Result<Layout> elastic = model.place_in(budget);
  ASSERT_TRUE(fixed.ok() && elastic.ok());
  EXPECT_GT(fixed->ring_bytes, budget / 8);
  EXPECT_LE(fixed->ring_bytes, budget / 4);
  EXPECT_LE(elastic->ring_bytes, budget / 8);
  EXPECT_GT(elastic->pinned_bytes, fixed->pinned_bytes);
}

TEST(Placement, RingFollowsTheDriveAndTheStretchesBetweenStreamedWeights) {
  Case model(64, 0, 0);
  dense(model, 64);
  const auto slots = [&](uint64_t budget, double drive) {
    model.input().speeds = {.drive = drive, .compute = 1e6};
    return model.place_in(budget)->ring_slots;
  };
  const uint64_t weights = model.index().info().weight_bytes;
  EXPECT_LT(slots(weights / 2, 1e6), slots(weights / 2, 4e6));
  // More is pinned: longer stretches.
  EXPECT_LT(slots(weights / 2, 4e6), slots(weights * 3 / 4, 4e6));
  model.input().speeds = {.drive = 1e9, .compute = 1};
  EXPECT_EQ(model.place_in(model.plenty())->ring_bytes, 0u);
}

// Shapes, types and uses nobody thought of.
TEST(Placement, DrawnModels) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    const auto draw = [&](uint32_t limit) { return static_cast<uint32_t>(generator() % limit); };
    const uint32_t layers = 1 + draw(5);
    const uint32_t experts = draw(2) == 0 ? 0 : 2 + draw(15);
    Case model(layers, experts, experts == 0 ? 0 : 1 + draw(experts));
    model.input().rows_per_graph = draw(600);
    const uint32_t types[] = {GgufBytes::kF32, GgufBytes::kF16, GgufBytes::kQ8_0, kIQ4_NL};
    for (uint32_t layer = 0; layer < layers; ++layer) {
      for (uint32_t k = 0, count = 1 + draw(7); k < count; ++k) {
        const std::string name = "blk." + std::to_string(layer) + ".t" + std::to_string(k);
        const int64_t columns = 32 * (1 + draw(8));
        const int64_t rows = draw(2) == 0 ? 64 * (1 + draw(8)) : 1 + draw(400);
        if (experts > 0 && draw(3) == 0) {
          model.add(name + "_exps.weight", {columns, 1 + rows / 16, experts},
                    {.mapped = true, .experts = true, .whole = draw(9) == 0}, types[draw(4)]);
          continue;
        }
        const TensorUse use{.mapped = draw(9) > 0,
                            .matmul = draw(4) > 0,
                            .rows = draw(4) == 0,
                            .whole = draw(9) == 0};
        model.add(name + ".weight", {columns, rows}, use, types[draw(4)]);
      }
    }
    sweep(model.build(), 25);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace hypura
