#include "plan/bound.h"

#include <gtest/gtest.h>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

TEST(Bound, DenseMissesWhatTheBudgetDoesNotHold) {
  const Bound bound = bound_of({.bytes = {.dense = 3'000'000'000},
                                .memory_bytes = 1'000'000'000,
                                .drive_gbps = 2,
                                .compute_seconds = 0.1});
  EXPECT_DOUBLE_EQ(bound.missing_bytes, 2e9);
  EXPECT_DOUBLE_EQ(bound.drive_seconds, 1);
  EXPECT_DOUBLE_EQ(bound.seconds, 1);
}

TEST(Bound, MoeMissesTheShareWithoutSlots) {
  const Bound bound =
      bound_of({.bytes = {.dense = 500'000'000, .experts = 4'000'000'000, .routed = 400'000'000},
                .memory_bytes = 1'500'000'000,
                .drive_gbps = 2});
  EXPECT_DOUBLE_EQ(bound.slot_share, 0.25);
  EXPECT_DOUBLE_EQ(bound.missing_bytes, 300e6);
  EXPECT_DOUBLE_EQ(bound.seconds, 0.15);
}

TEST(Bound, DenseWeightsComeFirst) {
  const Bound bound = bound_of({.bytes = {.dense = 500, .experts = 4000, .routed = 400},
                                .memory_bytes = 300,
                                .drive_gbps = 1});
  EXPECT_DOUBLE_EQ(bound.slot_share, 0);
  EXPECT_DOUBLE_EQ(bound.missing_bytes, 600);
}

TEST(Bound, ComputingIsTheRestOfIt) {
  const BoundInput fits{.bytes = {.dense = 500, .experts = 4000, .routed = 400},
                        .memory_bytes = 5000,
                        .drive_gbps = 1,
                        .compute_seconds = 0.1};
  EXPECT_DOUBLE_EQ(bound_of(fits).missing_bytes, 0);
  EXPECT_DOUBLE_EQ(bound_of(fits).seconds, 0.1);
}

TokenBytes of(const GgufBytes& file) {
  const TestDirectory directory;
  const Result<ModelIndex> index = ModelIndex::open(directory.write("m.gguf", file.build()));
  EXPECT_TRUE(index.ok()) << index.status().to_string();
  return token_bytes(*index);
}

TEST(TokenBytes, EmbeddingsCountWhereTheyAreTheOutputToo) {
  // token_embd 1024, ffn_up 136, ffn_gate_inp 512, output_norm 128, experts 272, 2 of 4 used.
  const TokenBytes tied = of(tiny_moe());
  EXPECT_EQ(tied.dense, 1024u + 136 + 512 + 128);
  EXPECT_EQ(tied.experts, 272u);
  EXPECT_EQ(tied.routed, 136u);

  GgufBytes file = tiny_moe();
  file.tensor({.name = "output.weight", .ne = {32, 8}, .bytes = 1024});
  EXPECT_EQ(of(file).dense, tied.dense) << "the output in place of the embeddings";
}

}  // namespace
}  // namespace hypura
