#include "plan/gpu_batches.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

constexpr uint32_t kLayers = 8;
constexpr uint64_t kMatrix = 256 * 256 * 2;
constexpr uint64_t kComputeBytes = 64 * kKiB;
// Of the output, all attention, and two layers' FFN beside places of two matrices.
constexpr uint64_t kRoom = (1 + kLayers + 2 * 2) * kMatrix;
constexpr uint64_t kPlaces = 2 * (kMatrix + 4096) + 2 * kComputeBytes;

// Layers of a matrix of attention and two of FFN.
class GpuBatchesTest : public testing::Test {
 protected:
  GpuBatchesTest() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", kLayers);
    add(file, "output.weight");
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      for (const char* name : {"attn_q", "ffn_up", "ffn_down"}) {
        add(file, "blk." + std::to_string(layer) + "." + name + ".weight");
      }
    }
    index_ = open(file);
    machine_.compute = {{.type = "f16", .threads = 4, .token_gbps = 10, .batch_gbps = 20}};
    machine_.gpus = {{.name = "g", .upload_gbps = 25}};
    set_drive(2);
    input_ = {.share = {.bytes = kRoom + kPlaces,
                        .ram_bytes = 0,
                        .batch_compute_bytes = kComputeBytes},
              .micro_batch = 512,
              .threads = 4};
  }
  ModelIndex open(const GgufBytes& file) {
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    return *index;
  }
  void set_drive(double gbps) {
    machine_.drive.samples = {{.read_bytes = kMiB, .depth = 32, .sequential = true, .gbps = gbps}};
  }
  GpuShare staying() const { return choose_gpu_share(index_, {.bytes = kRoom + kPlaces}); }
  GpuShare better() const { return better_for_batches(index_, staying(), input_, machine_); }
  bool takes() const { return better().batches.has_value(); }

  TestDirectory directory_;
  ModelIndex index_;
  MachineProfile machine_;
  BatchInput input_;

  static void add(GgufBytes& file, const std::string& name) {
    file.tensor({.name = name, .ne = {256, 256}, .type = GgufBytes::kF16, .bytes = kMatrix});
  }
};

// FFNs of 64 experts, of which a token goes to one.
class MicroBatchTest : public GpuBatchesTest {
 protected:
  static constexpr uint64_t kExperts = 64;

  MicroBatchTest() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", kLayers);
    file.number("tiny.expert_count", kExperts).number("tiny.expert_used_count", 1);
    add(file, "output.weight");
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      const std::string block = "blk." + std::to_string(layer);
      add(file, block + ".attn_q.weight");
      for (const char* name : {".ffn_up_exps.weight", ".ffn_down_exps.weight"}) {
        file.tensor({.name = block + name,
                     .ne = {256, 256, kExperts},
                     .type = GgufBytes::kF16,
                     .bytes = kExperts * kMatrix});
      }
    }
    index_ = open(file);
    input_.share.bytes = 8 * kExperts * kMatrix;
    input_.share.ram_bytes = 4 * kExperts * kMatrix;
  }
  uint32_t best(uint64_t compute_bytes = 0, uint32_t most = 2048) const {
    return better_micro_batch(index_, input_, compute_bytes, most, machine_);
  }
};

TEST_F(GpuBatchesTest, PlacesComeOutOfWhatWeightsWouldHave) {
  const GpuShare share = better();
  ASSERT_TRUE(share.batches.has_value());
  EXPECT_EQ(share.batches->places, 2u);
  EXPECT_EQ(share.batches->bytes(), kPlaces);
  EXPECT_EQ(share.weight_bytes, kRoom);
  EXPECT_GT(staying().weight_bytes, kRoom);
}

// 512 tokens by 9 matrices of 128 KiB at 20 GB/s are 30 ms. Then 16 tokens of an answer read them,
// and 3 more where the GPU has places in their stead: 26 ms more at 0.3 GB/s, with the batch's own.
TEST_F(GpuBatchesTest, WhereTheCpuIsWaitedForLongerThanAnAnswerReads) {
  EXPECT_TRUE(takes());
  set_drive(0.3);
  EXPECT_TRUE(takes());
  set_drive(0.2);
  EXPECT_FALSE(takes()) << "tokens wait longer than the batch gains";
  machine_.compute.front().batch_gbps = 10;
  EXPECT_TRUE(takes()) << "a slower CPU";
  set_drive(2);
  machine_.gpus.front().upload_gbps = 0.01;
  EXPECT_FALSE(takes()) << "a bus that is slower than both";
}

TEST_F(GpuBatchesTest, OnlyWhereSomethingStreams) {
  input_.share.ram_bytes = index_.info().weight_bytes - staying().weight_bytes;
  EXPECT_FALSE(takes());
  input_.streams = true;
  EXPECT_TRUE(takes()) << "where a mode was asked for";
  input_.streams = false;
  --input_.share.ram_bytes;
  EXPECT_TRUE(takes());
}

TEST_F(GpuBatchesTest, OnlyForBatches) {
  input_.micro_batch = kGpuBatchTokens - 1;
  EXPECT_FALSE(takes());
  // Of so few, the CPU computes faster than they pass the bus.
  input_.micro_batch = kGpuBatchTokens;
  machine_.gpus.front().upload_gbps = 0.5;
  EXPECT_FALSE(takes());
}

// They need 12 matrices and a bit, layers 9.
TEST_F(GpuBatchesTest, MoreThanHalfOfTheGpuWhereItKeepsAllLayers) {
  input_.share.batch_compute_bytes = 5 * kMatrix;
  input_.share.bytes = 22 * kMatrix;
  const GpuShare share = better();
  ASSERT_TRUE(share.batches.has_value());
  EXPECT_EQ(share.layers, kLayers);
  EXPECT_EQ(share.weight_bytes, (1 + kLayers) * kMatrix);
}

TEST_F(GpuBatchesTest, NotForMoreThanHalfOfTheGpuInPlaceOfLayers) {
  input_.share.batch_compute_bytes = (kRoom + kPlaces) / 4;
  EXPECT_FALSE(takes());
  EXPECT_EQ(better().weight_bytes, staying().weight_bytes);
  input_.asked = true;
  EXPECT_TRUE(takes());
}

TEST_F(GpuBatchesTest, NotWhereNothingIsBelow) {
  input_.share.bytes *= 2;
  input_.streams = true;
  const GpuShare all = choose_gpu_share(index_, {.bytes = input_.share.bytes});
  EXPECT_FALSE(better_for_batches(index_, all, input_, machine_).batches.has_value());
}

TEST_F(GpuBatchesTest, AMachineThatIsNotKnownTakesThem) {
  machine_ = {};
  EXPECT_TRUE(takes());
}

// With places for two of them, the GPU holds 6 of 16 matrices of experts, and RAM 4: the 6 others
// take 25 ms to be read, and 0.4 ms for a token. A prompt reads them four times at 512 tokens: 101
// ms, and 25 for its answer.
TEST_F(MicroBatchTest, TheLargestReadsLeast) { EXPECT_EQ(best(), 2048u); }

TEST_F(MicroBatchTest, NoLargerThanAllowed) {
  EXPECT_EQ(best(0, 2047), 1024u);
  EXPECT_EQ(best(0, 0), 512u);
}

TEST_F(MicroBatchTest, ActivationsAreMemoryThatHoldsNoWeights) {
  const uint64_t matrix = kExperts * kMatrix;
  input_.share.ram_bytes = 8 * matrix;  // two are missed, and two more for each 512 tokens
  EXPECT_EQ(best(), 2048u);
  EXPECT_EQ(best(2 * matrix), 512u);
  machine_.compute.front().batch_gbps = 1;
  input_.share.batch_compute_bytes = matrix;
  input_.share.ram_bytes = 0;
  EXPECT_EQ(best(), 1024u) << "there is no more on the GPU";
}

TEST_F(MicroBatchTest, TheUsualWhereNothingIsGained) {
  input_.share.ram_bytes = index_.info().weight_bytes;
  EXPECT_EQ(best(), 512u) << "nothing streams";
  input_.share.ram_bytes = 0;
  machine_.gpus.clear();
  EXPECT_EQ(best(), 512u) << "the machine is not known";
}

// With a cache for 8 of 64 experts in each of 16 tensors, a micro-batch copies 56 of each, and each
// of an answer's 64 tokens 7 of 8 times one: 4 * 56 + 64 * 7 / 8 at 512 tokens, 56 + 56 at 2048.
class CopiedMicroBatchTest : public MicroBatchTest {
 protected:
  CopiedMicroBatchTest() {
    constexpr uint64_t kSlack = 4096;
    input_.share.experts_used = 1;
    input_.share.bytes = (1 + kLayers + 2 * kExperts + 16 * 8) * kMatrix + (2 + 16) * kSlack;
    input_.share.ram_bytes = index_.info().weight_bytes;
  }
};

TEST_F(CopiedMicroBatchTest, TheLargestCopiesLeast) {
  EXPECT_EQ(best(), 2048u);
  EXPECT_EQ(best(0, 2047), 1024u);
  EXPECT_EQ(best(0, 0), 512u);
}

TEST_F(CopiedMicroBatchTest, ActivationsAreMemoryThatCachesNothing) {
  // 16 tensors lose three slots, and one and a half to kernels.
  input_.share.batch_compute_bytes = 3 * 16 * kMatrix;
  EXPECT_EQ(best(), 1024u) << "of 8 slots 3, then none";
  input_.share.batch_compute_bytes = 5 * 16 * kMatrix;
  EXPECT_EQ(best(), 512u);
}

TEST_F(CopiedMicroBatchTest, TheUsualWhereNothingIsCopiedFromRam) {
  input_.share.ram_bytes = (1 + 16 * kExperts) * kMatrix;
  EXPECT_EQ(best(), 2048u);
  EXPECT_EQ(best(kMatrix), 1024u) << "activations take what experts need";
  EXPECT_EQ(best(2 * kMatrix), 512u);
  input_.share.ram_bytes = 16 * kExperts * kMatrix - 1;
  EXPECT_EQ(best(), 512u) << "they are read";
  input_.share.ram_bytes = index_.info().weight_bytes;
  machine_.gpus.clear();
  EXPECT_EQ(best(), 512u) << "the bus is not known";
}

TEST_F(GpuBatchesTest, WhereEveryTokenReadsAllThereIsNoBetterMicroBatch) {
  EXPECT_TRUE(takes());
  EXPECT_EQ(better_micro_batch(index_, input_, 0, 2048, machine_), 512u);
}

}  // namespace
}  // namespace hypura
