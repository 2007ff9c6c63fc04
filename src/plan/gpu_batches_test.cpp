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
    const Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    if (!index.ok()) ADD_FAILURE() << index.status().to_string();
    index_ = *index;
    machine_.compute = {{.type = "f16", .threads = 4, .token_gbps = 10, .batch_gbps = 20}};
    machine_.gpus = {{.name = "g", .upload_gbps = 25}};
    set_drive(2);
    input_ = {.share = {.bytes = kRoom + kPlaces, .batch_compute_bytes = kComputeBytes},
              .micro_batch = 512,
              .threads = 4};
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

 private:
  static void add(GgufBytes& file, const std::string& name) {
    file.tensor({.name = name, .ne = {256, 256}, .type = GgufBytes::kF16, .bytes = kMatrix});
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
  input_.ram_bytes = index_.info().weight_bytes - staying().weight_bytes;
  EXPECT_FALSE(takes());
  input_.streams = true;
  EXPECT_TRUE(takes()) << "where a mode was asked for";
  input_.streams = false;
  --input_.ram_bytes;
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

TEST_F(GpuBatchesTest, NotForMoreThanHalfOfTheGpu) {
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

}  // namespace
}  // namespace hypura
