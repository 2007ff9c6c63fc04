#include "plan/rates.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

const std::vector<ComputeSample> kSamples = {
    {.type = "q4_K", .threads = 1, .token_gbps = 5, .batch_gbps = 40, .expert_gbps = 4},
    {.type = "q4_K", .threads = 4, .token_gbps = 16, .batch_gbps = 150, .expert_gbps = 14},
    {.type = "f16", .threads = 4, .token_gbps = 30, .batch_gbps = 300},
};

TEST(KernelRates, TakesTheTypeInAnyCaseAndTheAskedThreads) {
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "Q4_K", 1, 0).token, 5);
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "Q4_K", 4, 0).expert, 14);
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "Q4_K", 0, 0).token, 16) << "0: as many as there are";
}

TEST(KernelRates, BorrowsFromTheNearestWidth) {
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "Q5_K", 4, 0).token, 16);
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "BF16", 4, 0).token, 30);
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "F16", 4, 0).expert, 30) << "no experts measured";
}

TEST(KernelRates, MemoryIsALid) {
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "F16", 4, 20).token, 20);
  EXPECT_DOUBLE_EQ(kernel_rates(kSamples, "F16", 4, 20).batch, 300) << "weights are used often";
  EXPECT_DOUBLE_EQ(kernel_rates({}, "F16", 4, 20).token, 20);
  EXPECT_DOUBLE_EQ(kernel_rates({}, "F16", 4, 0).token, 0);
}

TEST(NodeCosts, OfTheThreadsOrTheMost) {
  const std::vector<NodeSample> samples = {{.threads = 1, .node_us = 0.25},
                                           {.threads = 4, .node_us = 2}};
  EXPECT_DOUBLE_EQ(nodes_seconds(samples, 1, 400), 100e-6);
  EXPECT_DOUBLE_EQ(nodes_seconds(samples, 4, 400), 800e-6);
  EXPECT_DOUBLE_EQ(nodes_seconds(samples, 3, 400), 800e-6);
  EXPECT_DOUBLE_EQ(nodes_seconds({}, 4, 400), 0);
}

TEST(DriveRates, BetweenAndBeyondSamples) {
  DriveProfile drive;
  const auto add = [&](uint32_t bytes, uint32_t depth, double gbps, double latency) {
    drive.samples.push_back(
        {.read_bytes = bytes, .depth = depth, .gbps = gbps, .latency_us = latency});
  };
  add(1 << 18, 1, 0.5, 400);
  add(1 << 18, 16, 1.5, 2000);
  add(1 << 20, 1, 1.0, 900);
  add(1 << 20, 16, 3.0, 5000);
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 1 << 20, .depth = 16}), 3.0);
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 1 << 20, .depth = 4}), 2.0);
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 1 << 19, .depth = 16}), 2.25);
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 4096, .depth = 64}), 1.5);
  EXPECT_DOUBLE_EQ(drive_latency_seconds(drive), 400e-6);
}

TEST(DriveRates, WithoutSamplesTheSummaryCounts) {
  const DriveProfile drive{.sequential_gbps = 5, .scattered_gbps = 3};
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 1 << 20, .sequential = true}), 5);
  EXPECT_DOUBLE_EQ(drive_gbps(drive, {.read_bytes = 1 << 20}), 3);
  EXPECT_DOUBLE_EQ(drive_gbps({.sequential_gbps = 5}, {.read_bytes = 1 << 20}), 5);
  EXPECT_DOUBLE_EQ(drive_latency_seconds(drive), 0);
}

TEST(MainGpu, TheFirstWithMemoryOfItsOwn) {
  MachineProfile machine;
  EXPECT_EQ(main_gpu(machine).upload_gbps, 0);
  EXPECT_FALSE(main_gpu(machine).unified);
  machine.gpus = {{.name = "ram", .unified = true}};
  EXPECT_EQ(main_gpu(machine).name, "ram");
  machine.gpus.push_back({.name = "own"});
  machine.gpus.push_back({.name = "other"});
  EXPECT_EQ(main_gpu(machine).name, "own");
}

}  // namespace
}  // namespace hypura
