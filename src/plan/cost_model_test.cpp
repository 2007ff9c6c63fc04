#include "plan/cost_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

// Embedding 64 rows, two matrices and an output of 1 MiB each: F16, 256 wide.
class Predicted : public testing::Test {
 protected:
  Predicted() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 2);
    add(file, "token_embd.weight", 64);
    add(file, "blk.0.attn_q.weight", 2048);
    add(file, "blk.1.attn_q.weight", 2048);
    add(file, "output.weight", 2048);
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    uses_ = assumed_uses(index_);
    machine_.source = "measured";
    machine_.memory.read_gbps = 10;
    machine_.compute = {{.type = "f16", .threads = 2, .token_gbps = 4, .batch_gbps = 40}};
    machine_.drive = {.sequential_gbps = 1, .scattered_gbps = 1, .spread = 0.1};
    work_ = {.kv_bytes_per_token = 1000,
             .kv_tokens = 100,
             .prompt_tokens = 100,
             .micro_batch = 50,
             .threads = 2};
  }

  static void add(GgufBytes& file, const char* name, int64_t rows) {
    file.tensor({.name = name,
                 .ne = {256, rows},
                 .type = GgufBytes::kF16,
                 .bytes = static_cast<uint64_t>(rows) * 512});
  }
  Prediction predicted(const Layout* layout = nullptr) const {
    return predict(
        {.index = index_, .uses = uses_, .machine = machine_, .work = work_, .layout = layout});
  }
  // Both layers' matrices pass through a ring, in 16 pieces each.
  Layout streamed() const {
    Layout layout{.homes = {{.home = Home::rows, .row_slots = 64},
                            {.home = Home::stream, .piece_rows = 128},
                            {.home = Home::stream, .piece_rows = 128},
                            {.home = Home::pinned}},
                  .ring_slots = 8,
                  .ring_slot_bytes = 65536};
    layout.ring_bytes = 8 * 65536;
    return layout;
  }

  static constexpr double kMatrix = 2048 * 512;
  TestDirectory directory_;
  ModelIndex index_;
  std::vector<TensorUse> uses_;
  MachineProfile machine_;
  Workload work_;
};

TEST_F(Predicted, ResidentIsBytesOverTheRateOfTheirKernelsAndTheCache) {
  const Prediction prediction = predicted();
  EXPECT_DOUBLE_EQ(prediction.token.ram_seconds, 3 * kMatrix / 4e9) << "embeddings are looked up";
  EXPECT_DOUBLE_EQ(prediction.token.kv_seconds, 1000 * 100 / 10e9);
  EXPECT_NEAR(prediction.token.token_seconds,
              prediction.token.ram_seconds + prediction.token.kv_seconds, 1e-12);
  EXPECT_EQ(prediction.token.read_bytes, 0);
  EXPECT_EQ(prediction.token.hit_share, 1);
  EXPECT_TRUE(prediction.bottleneck.starts_with("CPU")) << prediction.bottleneck;
}

TEST_F(Predicted, StreamedIsTheLargerOfReadingAndComputing) {
  const Layout layout = streamed();
  const Prediction prediction = predicted(&layout);
  EXPECT_NEAR(prediction.token.read_bytes, 2 * kMatrix, 1);
  EXPECT_NEAR(prediction.token.token_seconds, 2 * kMatrix / 1e9, 2e-5);
  EXPECT_TRUE(prediction.bottleneck.starts_with("drive: 2.0 MiB a token at 1.0 GB/s"))
      << prediction.bottleneck;
  machine_.drive.sequential_gbps = 100;
  EXPECT_NEAR(predicted(&layout).token.token_seconds, predicted().token.token_seconds, 2e-5);
}

TEST_F(Predicted, PromptsReadWhatIsMissingOnceAMicroBatch) {
  const Layout layout = streamed();
  const Prediction prediction = predicted(&layout);
  EXPECT_DOUBLE_EQ(prediction.prompt.read_bytes, 2 * 2 * kMatrix);
  // 50 tokens a matrix at 40 GB/s, the output's one token at 4 GB/s.
  EXPECT_DOUBLE_EQ(prediction.prompt.compute_seconds,
                   2 * (2 * 50 * kMatrix / 40e9 + kMatrix / 4e9));
  EXPECT_DOUBLE_EQ(prediction.prompt.seconds,
                   std::max(prediction.prompt.compute_seconds, prediction.prompt.read_seconds));
  machine_.compute[0].batch_gbps = 0;
  EXPECT_EQ(predicted(&layout).prompt_tps.middle, 0) << "not known";
}

TEST_F(Predicted, TheRangeFollowsTheSpread) {
  const Layout layout = streamed();
  const Prediction narrow = predicted(&layout);
  EXPECT_NEAR(narrow.decode_tps.low, 0.95 * narrow.decode_tps.middle,
              narrow.decode_tps.middle * 0.01);
  EXPECT_NEAR(narrow.decode_tps.high, 1.05 * narrow.decode_tps.middle,
              narrow.decode_tps.middle * 0.01);
  machine_.drive.spread = 0.4;
  EXPECT_LT(predicted(&layout).decode_tps.low, narrow.decode_tps.low);
  machine_.drive.spread = 0;
  machine_.source = "a data sheet";
  EXPECT_LT(predicted(&layout).decode_tps.low, 0.8 * narrow.decode_tps.middle);
}

TEST_F(Predicted, NodesOfTheGraphTakeTimeBesideTheirBytes) {
  const Prediction before = predicted();
  work_.graph_nodes = 300;
  EXPECT_EQ(predicted().token.token_seconds, before.token.token_seconds) << "not measured";
  machine_.nodes = {{.threads = 1, .node_us = 0.2}, {.threads = 2, .node_us = 0.5}};
  const Prediction after = predicted();
  EXPECT_NEAR(after.token.token_seconds - before.token.token_seconds, 150e-6, 1e-12);
  EXPECT_NEAR(after.prompt.seconds - before.prompt.seconds, 2 * 150e-6, 1e-12) << "two passes";
  machine_.compute[0].token_gbps = 1e6;
  machine_.memory.read_gbps = 1e6;
  EXPECT_TRUE(predicted().bottleneck.starts_with("CPU: threads meeting"))
      << predicted().bottleneck;
}

TEST_F(Predicted, PromptsMayHaveOtherThreads) {
  machine_.compute.push_back({.type = "f16", .threads = 1, .token_gbps = 3, .batch_gbps = 400});
  const double before = predicted().prompt.compute_seconds;
  work_.threads_batch = 1;
  EXPECT_LT(predicted().prompt.compute_seconds, before);
  EXPECT_DOUBLE_EQ(predicted().token.ram_seconds, 3 * kMatrix / 4e9);
}

TEST_F(Predicted, ReadsTakeProcessorTimeFromKernels) {
  const Layout layout = streamed();
  machine_.drive.sequential_gbps = 100;  // computing is what takes long
  const Prediction before = predicted(&layout);
  machine_.drive.beside_share = 0.5;
  const Prediction after = predicted(&layout);
  EXPECT_GT(after.token.token_seconds, before.token.token_seconds);
  EXPECT_LT(after.token.token_seconds, 2 * before.token.token_seconds) << "reads end earlier";
  EXPECT_GT(after.prompt.compute_seconds, before.prompt.compute_seconds);
  EXPECT_EQ(predicted().token.token_seconds, [&] {
    machine_.drive.beside_share = 0;
    return predicted().token.token_seconds;
  }()) << "resident";
}

TEST_F(Predicted, AskingForReadsTakesTime) {
  const Layout layout = streamed();
  machine_.drive.sequential_gbps = 100;
  const Prediction before = predicted(&layout);
  machine_.drive.read_cpu_us = 20;
  const Prediction after = predicted(&layout);
  EXPECT_NEAR(after.token.host_seconds, 2 * 20e-6, 1e-12) << "two reads of 1 MiB";
  EXPECT_GT(after.token.token_seconds, before.token.token_seconds);
  EXPECT_EQ(predicted().token.host_seconds, 0) << "resident";
}

TEST_F(Predicted, NewMemoryTakesAPromptsTimeTwiceAtMost) {
  Layout layout = streamed();
  const double before = predicted(&layout).prompt.seconds;
  layout.pool_bytes = 1000;
  EXPECT_EQ(predicted(&layout).prompt.seconds, before) << "not measured";
  machine_.memory.touch_gbps = 0.5;
  EXPECT_NEAR(predicted(&layout).prompt.seconds - before, 1000 / 0.5e9, 1e-12);
  layout.pool_bytes = 1'000'000'000'000;
  EXPECT_DOUBLE_EQ(predicted(&layout).prompt.seconds, 2 * before);
  EXPECT_EQ(predicted().prompt.touch_seconds, 0) << "resident";
}

TEST_F(Predicted, ALongerContextTakesLonger) {
  const double before = predicted().token.token_seconds;
  work_.kv_tokens = 100000;
  EXPECT_NEAR(predicted().token.token_seconds - before, 1000 * (100000 - 100) / 10e9, 1e-9);
}

// One layer: 32 experts of 32 KiB, four of which a token uses, eight of which the GPU has room for.
class Copied : public testing::Test {
 protected:
  Copied() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 1);
    file.number("tiny.expert_count", kExperts).number("tiny.expert_used_count", 4);
    file.tensor({.name = "blk.0.ffn_up_exps.weight",
                 .ne = {256, 64, kExperts},
                 .type = GgufBytes::kF16,
                 .bytes = kExperts * 32768});
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    uses_ = assumed_uses(index_);
    machine_.memory.read_gbps = 10;
    machine_.compute = {{.type = "f16", .threads = 2, .token_gbps = 4, .batch_gbps = 40}};
    machine_.gpus = {
        {.name = "g",
         .memory_gbps = 1000,
         .upload_gbps = 10,
         .compute = {{.type = "f16", .token_gbps = 100, .batch_gbps = 10000}}}};
    machine_.drive = {.sequential_gbps = 1, .scattered_gbps = 1};
    work_ = {.experts_used = 4, .prompt_tokens = 100, .micro_batch = 50};
  }
  Prediction predicted(const Layout& layout) const {
    return predict({.index = index_,
                    .uses = uses_,
                    .machine = machine_,
                    .work = work_,
                    .layout = &layout,
                    .gpu_slots = {kSlots}});
  }
  // All experts in RAM, or so many.
  Prediction predicted() const { return predicted({.homes = {{.home = Home::pinned}}}); }
  Prediction with_ram_slots(uint32_t slots) const {
    const PoolLayout pool{.slice_bytes = kSlice, .slots = slots, .tensors = {TensorId{0}}};
    return predicted({.homes = {{.home = Home::experts}}, .pools = {pool}});
  }
  // Of a micro-batch of 50.
  static double touched() { return kExperts * (1 - std::pow(1 - 4.0 / kExperts, 50)); }

  static constexpr uint32_t kExperts = 32;
  static constexpr uint32_t kSlots = 8;
  static constexpr uint32_t kSlice = 32768;
  TestDirectory directory_;
  ModelIndex index_;
  std::vector<TensorUse> uses_;
  MachineProfile machine_;
  Workload work_;
};

TEST_F(Copied, ATokenWaitsForWhatTheGpuDoesNotHave) {
  const TokenCost token = predicted().token;
  EXPECT_DOUBLE_EQ(token.gpu_hit_share, 0.25);
  EXPECT_DOUBLE_EQ(token.upload_bytes, 4 * 0.75 * kSlice);
  EXPECT_DOUBLE_EQ(token.upload_seconds, 4 * 0.75 * kSlice / 10e9);
  EXPECT_DOUBLE_EQ(token.gpu_seconds, 4.0 * kSlice / 100e9) << "at the GPU's rate";
  EXPECT_EQ(token.ram_seconds, 0);
  EXPECT_EQ(token.read_bytes, 0);
  EXPECT_DOUBLE_EQ(token.token_seconds, token.upload_seconds + token.gpu_seconds);
  EXPECT_EQ(predicted().bottleneck, "bus: 96 KiB a token at 10.0 GB/s");
  machine_.gpus.front().upload_gbps = 1000;
  EXPECT_TRUE(predicted().bottleneck.starts_with("GPU:")) << predicted().bottleneck;
}

TEST_F(Copied, FavouritesStayInTheGpusMemory) {
  const TokenCost even = predicted().token;
  work_.heat = 1;
  EXPECT_DOUBLE_EQ(predicted().token.gpu_hit_share, expected_hits(kSlots, 1, kExperts, 4, 1));
  EXPECT_LT(predicted().token.upload_seconds, even.upload_seconds);
}

TEST_F(Copied, ACacheThatStartsEmptyIsFilled) {
  work_.cold_tokens = 1;
  EXPECT_EQ(predicted().token.gpu_hit_share, 0);
  EXPECT_DOUBLE_EQ(predicted().token.upload_bytes, 4.0 * kSlice);
}

TEST_F(Copied, TheDriveIsReadForWhatNeitherRamNorTheGpuHas) {
  const Prediction prediction = with_ram_slots(16);
  EXPECT_DOUBLE_EQ(prediction.token.hit_share, 0.75) << "16 slots and 8";
  EXPECT_DOUBLE_EQ(prediction.token.gpu_hit_share, 0.25);
  EXPECT_NEAR(prediction.token.read_bytes, 4 * 0.25 * kSlice, 1e-6);
  EXPECT_DOUBLE_EQ(prediction.token.upload_bytes, 4 * 0.75 * kSlice);
  EXPECT_TRUE(prediction.bottleneck.starts_with("drive: 32 KiB a token")) << prediction.bottleneck;
  EXPECT_EQ(with_ram_slots(24).token.read_bytes, 0) << "24 slots and 8";
}

TEST_F(Copied, NobodyGuessesAhead) {
  work_.prefetch = true;
  const double with = with_ram_slots(8).token.token_seconds;
  work_.prefetch = false;
  EXPECT_EQ(with_ram_slots(8).token.token_seconds, with);
}

TEST_F(Copied, PromptsTakeTheLargestOfComputingReadingAndCopying) {
  const PromptCost prompt = predicted().prompt;
  EXPECT_DOUBLE_EQ(prompt.upload_bytes, 2 * touched() * 0.75 * kSlice);
  EXPECT_DOUBLE_EQ(prompt.upload_seconds, prompt.upload_bytes / 10e9);
  EXPECT_DOUBLE_EQ(prompt.compute_seconds, 2 * touched() * kSlice / 100e9);
  EXPECT_DOUBLE_EQ(prompt.seconds, prompt.upload_seconds);
  EXPECT_TRUE(predicted().prompt_bottleneck.starts_with("bus: 1.5 MiB in"))
      << predicted().prompt_bottleneck;
  EXPECT_DOUBLE_EQ(with_ram_slots(8).prompt.seconds, with_ram_slots(8).prompt.read_seconds);
  machine_.gpus.front().upload_gbps = 1000;
  EXPECT_DOUBLE_EQ(predicted().prompt.seconds, prompt.compute_seconds);
  work_.cold_tokens = 1;
  EXPECT_DOUBLE_EQ(predicted().prompt.upload_bytes, touched() * (1 + 0.75) * kSlice)
      << "the first micro-batch finds nothing there";
}

// Whatever lies below the GPU is copied there for a batch, and computes for a token where it lies.
TEST_F(Copied, BatchesPassThroughTheGpu) {
  const PoolLayout pool{.slice_bytes = kSlice, .slots = 16, .tensors = {TensorId{0}}};
  const Layout layout{.homes = {{.home = Home::experts}}, .pools = {pool}};
  CostInput input{.index = index_,
                  .uses = uses_,
                  .machine = machine_,
                  .work = work_,
                  .layout = &layout,
                  .on_gpu = {false},
                  .gpu_batches = true};
  const Prediction with = predict(input);
  EXPECT_DOUBLE_EQ(with.prompt.upload_bytes, 2 * touched() * kSlice);
  EXPECT_DOUBLE_EQ(with.prompt.compute_seconds, 2 * touched() * kSlice / 100e9);
  EXPECT_DOUBLE_EQ(with.prompt.read_bytes, 2 * touched() * kSlice / 2);
  EXPECT_EQ(with.token.gpu_seconds, 0);
  EXPECT_EQ(with.token.upload_bytes, 0);
  input.gpu_batches = false;
  const Prediction without = predict(input);
  EXPECT_EQ(without.prompt.upload_bytes, 0);
  EXPECT_GT(without.prompt.compute_seconds, with.prompt.compute_seconds);
  EXPECT_EQ(without.token.token_seconds, with.token.token_seconds);
  input.gpu_batches = true;
  input.work.prompt_tokens = 31;
  EXPECT_EQ(predict(input).prompt.upload_bytes, 0) << "too few tokens";
}

}  // namespace
}  // namespace hypura
