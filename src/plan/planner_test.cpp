#include "plan/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"
#include "model/pinned_runs.h"
#include "plan/gpu_batches.h"
#include "plan/placement.h"
#include "plan/plan_file.h"

namespace hypura {
namespace {

// Compute that costs nothing, so that a token's time is its reads.
MachineProfile reader_machine() {
  MachineProfile machine;
  machine.source = "measured";
  machine.memory = {.total_bytes = 16 * kGiB, .read_gbps = 1e6};
  machine.compute = {{.type = "f16", .threads = 1, .token_gbps = 1e6, .batch_gbps = 1e6}};
  machine.drive = {.sequential_gbps = 2, .scattered_gbps = 2};
  return machine;
}

// A small model: dense matrices of given rows, and in the first layers experts where `experts` > 0.
class Small {
 public:
  explicit Small(const std::vector<int64_t>& rows, uint32_t experts = 0,
                 size_t expert_layers = 2, bool routers = false) {
    GgufBytes file;
    file.text("general.architecture", "tiny")
        .number("tiny.block_count", static_cast<uint32_t>(rows.size()));
    if (experts > 0) {
      file.number("tiny.expert_count", experts).number("tiny.expert_used_count", kUsed);
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      add(file, block + "attn_q.weight", {256, rows[i]});
      if (experts == 0 || i >= expert_layers) continue;
      add(file, block + "ffn_up_exps.weight", {256, 64, experts});
      if (routers) add(file, block + "ffn_gate_inp.weight", {256, experts});
    }
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    demand_ = {.uses = assumed_uses(index_), .context = 256, .micro_batch = 64, .threads = 1};
  }

  PlanInput input(uint64_t budget) const {
    return {.index = index_,
            .demand = demand_,
            .machine = machine_,
            .budget_bytes = budget,
            .work = {.prefetch = false}};
  }
  const ModelIndex& index() const { return index_; }
  ModelDemand& demand() { return demand_; }
  MachineProfile& machine() { return machine_; }
  const std::vector<TensorUse>& uses() const { return demand_.uses; }

  static constexpr uint32_t kUsed = 2;

 private:
  static void add(GgufBytes& file, const std::string& name, const std::vector<int64_t>& ne) {
    uint64_t bytes = 2;
    for (const int64_t n : ne) bytes *= static_cast<uint64_t>(n);
    file.tensor({.name = name, .ne = ne, .type = GgufBytes::kF16, .bytes = bytes});
  }

  TestDirectory directory_;
  ModelIndex index_;
  ModelDemand demand_;
  MachineProfile machine_ = reader_machine();
};

// The memory of a layout, counted without the placer: pinned runs, ring, slots with their tables.
uint64_t memory_of(const ModelIndex& index, const Layout& layout) {
  uint64_t bytes = 0;
  bool streams = false;
  for (const PinnedRun& run : pinned_runs(index, layout.homes)) bytes += widened_bytes(run.bytes);
  for (const TensorHome& home : layout.homes) streams = streams || home.home == Home::stream;
  if (streams) bytes += layout.ring_slots * layout.ring_slot_bytes;
  for (const PoolLayout& pool : layout.pools) {
    bytes += pool.slots * (widened_bytes(pool.slice_bytes) + 64);
    for (const TensorId id : pool.tensors) bytes += 12 * index.tensor(id).expert_count;
  }
  return bytes;
}

// Every subset of dense matrices pinned, with every number of slots: the least bytes a token reads.
double least_read_bytes(const Small& model, const Layout& from, uint64_t budget) {
  std::vector<uint32_t> dense;
  for (uint32_t i = 0; i < from.homes.size(); ++i) {
    if (model.uses()[i].matmul) dense.push_back(i);
  }
  const uint32_t experts = static_cast<uint32_t>(model.index().info().expert_count);
  double least = 1e18;
  for (uint32_t pinned = 0; pinned < (1u << dense.size()); ++pinned) {
    for (uint32_t slots = Small::kUsed; slots <= std::max(experts, Small::kUsed); ++slots) {
      for (uint32_t more = 0; more < 2; ++more) {
        Layout layout = from;
        double read = 0;
        for (size_t k = 0; k < dense.size(); ++k) {
          const bool stays = (pinned >> k & 1) != 0;
          layout.homes[dense[k]].home = stays ? Home::pinned : Home::stream;
          if (!stays) read += static_cast<double>(model.index().tensor(TensorId{dense[k]}).bytes);
        }
        bool second = false;
        for (PoolLayout& pool : layout.pools) {
          pool.slots = std::min(experts, slots + (second ? 0 : more));
          second = true;
          read += Small::kUsed * static_cast<double>(pool.slice_bytes) *
                  (1 - static_cast<double>(pool.slots) / experts);
        }
        if (memory_of(model.index(), layout) <= budget) least = std::min(least, read);
      }
    }
  }
  return least;
}

// The planner against all plans there are. Pinning shares in steps of 1/1024, in the order of use,
// it may leave room for less than the largest matrix: with every matrix, what is pinned exceeds
// share * dense - largest, so the best share that fits leaves less than largest + dense / 1024.
// Slots are rounded down, by less than a slice a pool.
TEST(Planner, IsNearTheBestOfAllPlans) {
  std::mt19937 random(20260101);
  int equal = 0;
  constexpr int kCases = 60;
  for (int round = 0; round < kCases; ++round) {
    std::vector<int64_t> rows;
    for (uint32_t i = 0; i < 3 + random() % 5; ++i) {
      rows.push_back(64 * static_cast<int64_t>(1 + random() % 12));
    }
    const uint32_t experts = round % 2 == 0 ? 0 : static_cast<uint32_t>(4 + random() % 3);
    const Small model(rows, experts);
    PlanInput input = model.input(0);
    const uint64_t least_bytes = least_budget(input);
    input.budget_bytes = least_bytes + random() % (model.index().info().weight_bytes * 9 / 10);
    if (input.budget_bytes >= model.index().info().weight_bytes) {
      input.budget_bytes = std::max(least_bytes, model.index().info().weight_bytes - 1);
    }
    input.mode = experts > 0 ? Mode::experts : Mode::dense;
    const Result<Plan> plan = make_plan(input);
    ASSERT_TRUE(plan.ok()) << plan.status().to_string();
    const double best = least_read_bytes(model, *plan->layout, input.budget_bytes);
    const double got = plan->prediction.token.read_bytes;
    double largest = 0;
    double dense = 0;
    double slices = 0;
    for (const TensorInfo& tensor : model.index().tensors()) {
      const double bytes = static_cast<double>(tensor.bytes);
      if (tensor.expert_count > 0) {
        slices += static_cast<double>(tensor.expert_bytes());
      } else {
        largest = std::max(largest, bytes);
        dense += bytes;
      }
    }
    // Neighbours in memory share blocks: two pages a matrix may lie between the two counts.
    const double pages = 2.0 * kBlockBytes * static_cast<double>(model.index().tensors().size());
    EXPECT_LE(got, best + largest + dense / 1024 + slices + pages) << "case " << round;
    if (got <= best + 1) ++equal;
  }
  RecordProperty("equal_to_brute_force", equal);
  EXPECT_GE(equal, kCases / 3) << "near is allowed, but often it is the best";
}

TEST(Planner, ResidentWhereItFitsAndSaysWhatIsMissingWhereNot) {
  const Small model({512, 512, 512, 512});
  const uint64_t weights = model.index().info().weight_bytes;
  Result<Plan> plan = make_plan(model.input(weights + kMiB));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->mode, Mode::resident);
  EXPECT_EQ(tier_bytes(model.index(), *plan).ram, weights);

  PlanInput input = model.input(weights / 2);
  input.mode = Mode::resident;
  plan = make_plan(input);
  EXPECT_EQ(plan.status().code(), StatusCode::does_not_fit);
  EXPECT_NE(plan.status().hint().find("--mode auto"), std::string::npos);

  plan = make_plan(model.input(1000));
  EXPECT_EQ(plan.status().code(), StatusCode::does_not_fit);
  EXPECT_NE(plan.status().hint().find("--ram-budget"), std::string::npos);
}

TEST(Planner, ASmallerContextIsOfferedWhereItWouldDo) {
  Small model({512, 512, 512, 512});
  model.demand().kv_bytes = 64 * kMiB;
  model.demand().fixed_bytes = 65 * kMiB;
  model.demand().context = 65536;
  const Result<Plan> plan = make_plan(model.input(40 * kMiB));
  ASSERT_EQ(plan.status().code(), StatusCode::does_not_fit);
  const std::string& hint = plan.status().hint();
  const size_t at = hint.find("--ctx ");
  ASSERT_NE(at, std::string::npos) << hint;
  const uint32_t context = static_cast<uint32_t>(std::stoul(hint.substr(at + 6)));
  model.demand().kv_bytes = context * kKiB;
  model.demand().fixed_bytes = kMiB + model.demand().kv_bytes;
  model.demand().context = context;
  EXPECT_TRUE(make_plan(model.input(40 * kMiB)).ok()) << "what was offered works";
}

TEST(Planner, TheLeastBudgetIsEnoughAndNoMoreThanThat) {
  const Small model({512, 768, 512}, 4);
  const uint64_t least = least_budget(model.input(0));
  EXPECT_TRUE(make_plan(model.input(least)).ok());
  EXPECT_FALSE(make_plan(model.input(least - 1)).ok());
}

TEST(Planner, IsDeterministicAndMonotonicInDriveSpeed) {
  Small model({512, 768, 512, 640});
  const PlanInput input = model.input(kMiB);
  const Result<Plan> first = make_plan(input);
  const Result<Plan> second = make_plan(input);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(to_json(saved_plan(input, *first)), to_json(saved_plan(input, *second)));
  model.machine().drive.sequential_gbps = 4;
  const Result<Plan> faster = make_plan(model.input(kMiB));
  ASSERT_TRUE(faster.ok());
  EXPECT_NEAR(faster->prediction.token.token_seconds, first->prediction.token.token_seconds / 2,
              first->prediction.token.token_seconds * 0.1);
}

TEST(Planner, AChoiceThatWasMadeIsCarriedOut) {
  const Small model({512, 768, 512, 640});
  PlanInput input = model.input(kMiB);
  const Result<Plan> own = make_plan(input);
  ASSERT_TRUE(own.ok());
  input.choice = PlanChoice{.pin_bytes_max = 0, .ring_slots = 3};
  const Result<Plan> told = make_plan(input);
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->layout->pinned_bytes, 0u);
  EXPECT_EQ(told->layout->ring_slots, 3u);
  EXPECT_GT(told->prediction.token.token_seconds, own->prediction.token.token_seconds);
}

TEST(Planner, ExpertsGetAtMostWhatAChoiceSays) {
  Small model({64, 64}, 16);
  PlanInput input = model.input(1);
  input.budget_bytes = least_budget(input) + 300 * kKiB;
  const Result<Plan> own = make_plan(input);
  ASSERT_TRUE(own.ok()) << own.status().to_string();
  const uint64_t most = own->layout->pool_bytes - 40 * kKiB;
  input.choice = PlanChoice{.pool_bytes_max = most};
  const Result<Plan> told = make_plan(input);
  ASSERT_TRUE(told.ok()) << told.status().to_string();
  EXPECT_LE(told->layout->pool_bytes, most);
  EXPECT_GT(told->layout->pool_bytes, most - 100 * kKiB);
}

TEST(Planner, AChoiceThatDoesNotFitIsRefused) {
  Small model({64, 64}, 16);
  PlanInput input = model.input(1);
  input.budget_bytes = least_budget(input);
  input.choice = PlanChoice{.pool_bytes_max = 4096};
  const Result<Plan> pools = make_plan(input);
  ASSERT_FALSE(pools.ok());
  EXPECT_EQ(pools.status().code(), StatusCode::does_not_fit);
  EXPECT_NE(pools.status().why().find("their least"), std::string::npos) << pools.status().why();
  Small dense({2048, 2048, 2048, 2048});
  PlanInput streamed = dense.input(1);
  streamed.budget_bytes = least_budget(streamed);
  streamed.choice = PlanChoice{.ring_slots = 5000};
  const Result<Plan> ring = make_plan(streamed);
  ASSERT_FALSE(ring.ok());
  EXPECT_NE(ring.status().message().find("5000 slots"), std::string::npos);
  EXPECT_NE(ring.status().why().find("3 fit"), std::string::npos) << ring.status().why();
}

TEST(Planner, AGpuTakesDenseWeightsFirst) {
  Small model({512, 768, 512}, 4);
  model.machine().gpus = {{.name = "g", .total_bytes = kGiB, .memory_gbps = 1000}};
  PlanInput input = model.input(16 * kMiB);
  input.gpu_bytes = {996 * kKiB};  // 896 of dense weights; the smallest expert tensor has 128
  const Result<Plan> plan = make_plan(input);
  ASSERT_TRUE(plan.ok());
  for (uint32_t i = 0; i < plan->gpu.on_gpu.size(); ++i) {
    EXPECT_EQ(plan->gpu.on_gpu[i], model.uses()[i].matmul)
        << model.index().tensor(TensorId{i}).name;
  }
  EXPECT_GT(plan->prediction.token.gpu_seconds, 0);
}

TEST(Planner, RoutersOnAGpuHaveACopyWhereExpertsAreGuessed) {
  constexpr uint64_t kRouterBytes = 256 * 16 * 2;
  Small model({512, 768}, 16, 2, true);
  model.machine().gpus = {{.name = "g", .total_bytes = kGiB, .memory_gbps = 1000}};
  PlanInput input = model.input(1);
  input.gpu_bytes = {kMiB};  // 640 KiB and the routers' 16; a layer's experts have 512
  input.budget_bytes = least_budget(input) + 256 * kKiB;
  const Result<Plan> plan = make_plan(input);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  const TierBytes tiers = tier_bytes(model.index(), *plan);
  EXPECT_GT(tiers.drive, 0u);
  EXPECT_EQ(tiers.copied, 2 * kRouterBytes);
  EXPECT_EQ(tiers.gpu + tiers.ram + tiers.drive, model.index().info().weight_bytes);
  input.copies_routers = false;
  EXPECT_EQ(tier_bytes(model.index(), *make_plan(input)).copied, 0u);
}

TEST(Planner, KvGoesWithItsLayersToTheGpu) {
  Small model({512, 768, 512}, 4);
  model.machine().gpus = {{.name = "g", .total_bytes = kGiB, .memory_gbps = 1000}};
  model.demand().kv_bytes = 3 * kMiB;
  model.demand().fixed_bytes = 4 * kMiB;
  PlanInput input = model.input(16 * kMiB);
  EXPECT_EQ(make_plan(input)->gpu.kv_bytes, 0u);
  const uint64_t alone = least_budget(input);
  input.gpu_bytes = {16 * kMiB};
  EXPECT_EQ(make_plan(input)->gpu.kv_bytes, 3 * kMiB);
  EXPECT_EQ(make_plan(input)->gpu.layers, 3u);
  EXPECT_LE(least_budget(input), alone - 3 * kMiB);
}

// Eight layers with 16 experts of 32 KiB each, of which a GPU has room for a few of every layer, or
// for those of four layers.
class Copying : public testing::Test {
 protected:
  Copying() {
    model_.machine().compute = {
        {.type = "f16", .threads = 1, .token_gbps = kSlow, .batch_gbps = kSlow}};
    model_.machine().gpus = {gpu()};
  }
  static GpuProfile gpu() {
    return {.name = "g",
            .total_bytes = kGiB,
            .memory_gbps = 1000 * kSlow,
            .upload_gbps = 25 * kSlow};
  }
  PlanInput input(uint64_t budget = 16 * kMiB) const {
    PlanInput input = model_.input(budget);
    input.gpu_bytes = {2400 * kKiB};
    return input;
  }
  static bool copies(const PlanInput& input) {
    const Result<Plan> plan = make_plan(input);
    if (!plan.ok()) ADD_FAILURE() << plan.status().to_string();
    return plan.ok() && plan->gpu.experts.has_value();
  }

  static constexpr double kSlow = 1e-3;
  Small model_ = Small(std::vector<int64_t>(8, 64), 16, 8);
};

TEST_F(Copying, ExpertsStayInRamAndPassThroughTheGpu) {
  const Result<Plan> plan = make_plan(input());
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  ASSERT_TRUE(plan->gpu.experts.has_value());
  EXPECT_EQ(plan->mode, Mode::experts);
  ASSERT_TRUE(plan->layout.has_value()) << "though all of it fits RAM";
  const std::vector<TensorInfo>& tensors = model_.index().tensors();
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    const Home home = tensors[i].expert_count > 0 ? Home::pinned : Home::unused;
    EXPECT_EQ(plan->layout->homes[i].home, home) << tensors[i].name;
  }
  EXPECT_EQ(plan->prediction.token.ram_seconds, 0);
  EXPECT_EQ(plan->prediction.token.read_bytes, 0);
  EXPECT_GT(plan->prediction.token.upload_seconds, 0);
  EXPECT_GT(plan->prediction.token.gpu_hit_share, 0);
  EXPECT_LT(plan->prediction.token.gpu_hit_share, 1);
}

TEST_F(Copying, NotWhereTheDriveIsWaitedFor) {
  PlanInput small = input();
  small.budget_bytes = least_budget(small);
  const Result<Plan> plan = make_plan(small);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_FALSE(plan->gpu.experts.has_value());
  EXPECT_FALSE(plan->layout->pools.empty());
  EXPECT_GT(plan->prediction.token.read_bytes, 0);
}

TEST_F(Copying, OnlyWhereItPays) {
  EXPECT_TRUE(copies(input()));
  model_.machine().gpus.front().upload_gbps = 0.1 * kSlow;
  EXPECT_FALSE(copies(input())) << "the CPU is faster than the bus";
  EXPECT_EQ(make_plan(input())->mode, Mode::resident);
  EXPECT_GT(make_plan(input())->prediction.token.ram_seconds, 0);
  model_.machine().gpus.front().upload_gbps = 0;
  EXPECT_FALSE(copies(input())) << "not known";
}

TEST_F(Copying, WhatIsKnownOfTheRoutingDecides) {
  model_.machine().gpus.front().upload_gbps = kSlow;
  PlanInput even = input();
  even.heat = 0;
  EXPECT_FALSE(copies(even));
  PlanInput hot = input();
  hot.heat = 2;
  EXPECT_TRUE(copies(hot));
  EXPECT_GT(make_plan(hot)->prediction.token.gpu_hit_share, 0.8);
  model_.machine().gpus.front().upload_gbps = 25 * kSlow;
  EXPECT_LT(make_plan(even)->prediction.token.gpu_hit_share,
            make_plan(input())->prediction.token.gpu_hit_share)
      << "an unknown model's is not even";
}

TEST_F(Copying, OnlyWhereTheEngineWould) {
  PlanInput asked = input();
  asked.mode = Mode::experts;
  EXPECT_TRUE(copies(asked));
  asked.mode = Mode::resident;
  EXPECT_FALSE(copies(asked));
  PlanInput exact = input();
  exact.may_copy_experts = false;
  EXPECT_FALSE(copies(exact));
  model_.machine().gpus = {gpu(), {.name = "of the processor", .unified = true}};
  EXPECT_TRUE(copies(input()));
  model_.machine().gpus = {gpu(), gpu()};
  EXPECT_FALSE(copies(input())) << "two GPUs";
}

// Of a prompt of 2048 tokens each micro-batch copies what no slot has, and each of its answer's 64
// tokens what it misses.
TEST_F(Copying, TheMicroBatchIsChosen) {
  model_.demand().context = 4096;
  EXPECT_EQ(with_micro_batch(input(), 2048).micro_batch, 2048u);
  EXPECT_EQ(with_micro_batch(input(), 256).micro_batch, 256u);
  EXPECT_EQ(with_micro_batch(input(), 0).micro_batch, 64u);
  model_.demand().micro_batch = 1024;
  PlanInput even = input();
  even.heat = 0;
  EXPECT_EQ(with_micro_batch(even, 2048).micro_batch, 1024u) << "its tokens copy more";
  PlanInput hot = input();
  hot.heat = 3;
  EXPECT_EQ(with_micro_batch(hot, 2048).micro_batch, 2048u);
}

TEST_F(Copying, ALargerMicroBatchLeavesThemWorthWhile) {
  model_.demand().context = 4096;
  model_.demand().compute_bytes = 6 * kKiB;
  int larger = 0;
  int usual = 0;
  for (double upload = 0.5; upload < 8; upload *= 1.02) {
    model_.machine().gpus.front().upload_gbps = upload * kSlow;
    for (uint64_t bytes = 2200 * kKiB; bytes < 2800 * kKiB; bytes += 40 * kKiB) {
      PlanInput asked = input();
      asked.gpu_bytes = {bytes};
      if (!copies(asked)) continue;
      const ModelDemand chosen = with_micro_batch(asked, 2048);
      (chosen.micro_batch > model_.demand().micro_batch ? larger : usual) += 1;
      const PlanInput with_chosen{
          .index = asked.index,
          .demand = chosen,
          .machine = asked.machine,
          .budget_bytes = asked.budget_bytes,
          .gpu_bytes = {bytes + model_.demand().gpu_activations() - chosen.gpu_activations() -
                        chosen.gpu_kernel_bytes}};
      EXPECT_TRUE(copies(with_chosen)) << upload << ", " << bytes;
    }
  }
  EXPECT_GT(larger, 100);
  EXPECT_GT(usual, 0) << "a GPU with room for less would leave the CPU to compute";
}

TEST_F(Copying, ASavedPlanSaysSo) {
  PlanInput plan = input();
  EXPECT_TRUE(saved_plan(plan, *make_plan(plan)).gpu_takes_experts);
  plan.may_copy_experts = false;
  EXPECT_FALSE(saved_plan(plan, *make_plan(plan)).gpu_takes_experts);
}

// What a run of it may take for all but the kernels, of which it knows nothing.
TEST_F(Copying, ASavedPlanLeavesKernelsTheirs) {
  model_.demand().context = 4096;
  model_.demand().compute_bytes = 6 * kKiB;
  PlanInput plan = input();
  const uint64_t usual = plan.demand.gpu_activations();
  const uint64_t all = plan.gpu_bytes.front() + usual;
  model_.demand() = with_micro_batch(plan, 2048);
  const uint64_t chosen = plan.demand.gpu_activations();
  const uint64_t kernels = plan.demand.gpu_kernel_bytes;
  EXPECT_EQ(kernels, kernel_bytes(chosen - usual));
  EXPECT_GT(kernels, 0u);
  plan.gpu_bytes = {all - chosen - kernels};
  EXPECT_EQ(saved_plan(plan, *make_plan(plan)).gpu_budget_bytes, all - kernels);
}

using Bytes = std::vector<uint64_t>;

TEST(GpuBytes, WhatTheGpuHasLessWhatIsTaken) {
  ModelDemand demand{.compute_bytes = 100 * kMiB};
  const GpuBudget automatic;
  const GpuBudget none{.kind = GpuBudget::Kind::none};
  const GpuBudget two{.kind = GpuBudget::Kind::bytes, .bytes = 2 * kGiB};
  MachineProfile machine;
  EXPECT_EQ(*gpu_bytes(machine, automatic, demand), Bytes());
  EXPECT_EQ(*gpu_bytes(machine, none, demand), Bytes());
  EXPECT_EQ(gpu_bytes(machine, two, demand).status().code(), StatusCode::does_not_fit);
  machine.gpus = {{.name = "g", .total_bytes = 4 * kGiB}};
  EXPECT_EQ(*gpu_bytes(machine, automatic, demand), Bytes{4 * kGiB - 512 * kMiB - 100 * kMiB});
  EXPECT_EQ(*gpu_bytes(machine, none, demand), Bytes{0});
  EXPECT_EQ(*gpu_bytes(machine, two, demand), Bytes{2 * kGiB - 100 * kMiB});
  demand.gpu_compute_bytes = 60 * kMiB;
  EXPECT_EQ(*gpu_bytes(machine, two, demand), Bytes{2 * kGiB - 60 * kMiB});
  demand.gpu_compute_bytes = 0;
  machine.gpus.front().working_set_bytes = kGiB;
  EXPECT_EQ(*gpu_bytes(machine, automatic, demand), Bytes{kGiB - 512 * kMiB - 100 * kMiB});
  EXPECT_EQ(gpu_bytes(machine, two, demand).status().code(), StatusCode::does_not_fit);
  machine.gpus.front().unified = true;
  EXPECT_EQ(*gpu_bytes(machine, automatic, demand), Bytes());
}

TEST(GpuBytes, SeveralGiveByWhatTheyHave) {
  const ModelDemand demand{.compute_bytes = 100 * kMiB};
  MachineProfile machine;
  machine.gpus = {{.name = "g", .total_bytes = 2 * kGiB + 512 * kMiB},
                  {.name = "ram", .total_bytes = 8 * kGiB, .unified = true},
                  {.name = "h", .total_bytes = 6 * kGiB + 512 * kMiB}};
  EXPECT_EQ(*gpu_bytes(machine, {}, demand), (Bytes{2 * kGiB - 100 * kMiB, 6 * kGiB - 100 * kMiB}));
  const GpuBudget four{.kind = GpuBudget::Kind::bytes, .bytes = 4 * kGiB};
  EXPECT_EQ(*gpu_bytes(machine, four, demand), (Bytes{kGiB - 100 * kMiB, 3 * kGiB - 100 * kMiB}));
}

TEST(ExpectedHits, UniformSharedAndSkewed) {
  EXPECT_DOUBLE_EQ(expected_hits(32, 1, 128, 8, 0), 0.25);
  EXPECT_DOUBLE_EQ(expected_hits(128, 1, 128, 8, 0), 1);
  EXPECT_DOUBLE_EQ(expected_hits(12, 2, 16, 4, 0), 6.0 / 16);
  EXPECT_DOUBLE_EQ(expected_hits(7, 2, 16, 4, 0), 0) << "fewer than one token needs";
  EXPECT_GT(expected_hits(32, 1, 128, 8, 1), 0.7) << "favourites stay";
  EXPECT_LT(expected_hits(32, 1, 128, 8, 1), 1);
}

TEST(ExpectedHits, AColdCacheHasOnlyWhatWasUsed) {
  const Workload full{.experts_used = 8};
  EXPECT_DOUBLE_EQ(expected_cold_hits(0.5, 128, full), 0.5);
  const Workload first{.experts_used = 8, .cold_tokens = 1};
  EXPECT_DOUBLE_EQ(expected_cold_hits(0.5, 128, first), 0);
  const Workload second{.experts_used = 8, .cold_tokens = 1, .cold_tokens_before = 1};
  EXPECT_DOUBLE_EQ(expected_cold_hits(0.5, 128, second), 8.0 / 128);
  const Workload two{.experts_used = 8, .cold_tokens = 2};
  EXPECT_DOUBLE_EQ(expected_cold_hits(0.5, 128, two), 8.0 / 128 / 2);
  const Workload many{.experts_used = 8, .cold_tokens = 1000000};
  EXPECT_NEAR(expected_cold_hits(0.5, 128, many), 0.5, 1e-4);
  const Workload after_prompt{.experts_used = 8, .cold_tokens = 8, .cold_tokens_before = 1000};
  EXPECT_DOUBLE_EQ(expected_cold_hits(0.5, 128, after_prompt), 0.5);
}

TEST(FitClass, AsUsersSayIt) {
  EXPECT_STREQ(fit_class(10.1), "fast");
  EXPECT_STREQ(fit_class(10), "usable");
  EXPECT_STREQ(fit_class(2), "slow");
}

}  // namespace
}  // namespace hypura
