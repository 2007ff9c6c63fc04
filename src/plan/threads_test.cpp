#include "plan/threads.h"

#include <gtest/gtest.h>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

// One matrix of 1 MiB, F16, and a machine of which 1, 2 and 4 threads were measured.
class Threads : public testing::Test {
 protected:
  Threads() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 1);
    file.tensor({.name = "blk.0.attn_q.weight",
                 .ne = {256, 2048},
                 .type = GgufBytes::kF16,
                 .bytes = 2048 * 512});
    index_ = *ModelIndex::open(directory_.write("m.gguf", file.build()));
    machine_.cores = 4;
    set(1, 4, 40);
    set(2, 7, 80);
    set(4, 10, 160);
  }

  void set(int threads, double token_gbps, double batch_gbps, double spread = 0.02) {
    machine_.compute.push_back({.type = "f16",
                                .threads = threads,
                                .token_gbps = token_gbps,
                                .batch_gbps = batch_gbps,
                                .spread = spread});
  }
  ThreadCounts chosen(int token, int batch) const {
    return choose_threads(index_, machine_, {.token = token, .batch = batch}).counts;
  }

  TestDirectory directory_;
  ModelIndex index_;
  MachineProfile machine_;
};

TEST_F(Threads, TheFastestOnesForEachWork) {
  EXPECT_EQ(chosen(1, 1), (ThreadCounts{4, 4}));
  machine_.compute.clear();
  set(1, 4, 40);
  set(2, 10, 80);
  set(4, 6, 160);  // waits for each other's memory
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{2, 4}));
}

TEST_F(Threads, WhatLiesWithinTheSpreadIsNoReason) {
  machine_.compute.clear();
  set(2, 10.4, 80);
  set(4, 10, 79);
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{4, 4}));
  machine_.compute.clear();
  set(2, 13, 80, 0.4);
  set(4, 10, 60, 0.02);
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{4, 4}));
  machine_.compute[0].spread = 0.1;
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{2, 2}));
  machine_.compute[0].spread = 0;  // not known
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{2, 2}));
  machine_.compute[0].token_gbps = 11.5;
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{4, 2}));
}

TEST_F(Threads, TheUsualOnesStayWhereTheyWereNotMeasured) {
  EXPECT_EQ(chosen(3, 3), (ThreadCounts{3, 3}));
  machine_.compute.clear();
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{4, 4}));
  EXPECT_TRUE(choose_threads(index_, machine_, {4, 4}).times.empty());
  set(0, 100, 100);  // a published profile: threads are not known
  EXPECT_EQ(chosen(4, 4), (ThreadCounts{4, 4}));
}

TEST_F(Threads, ABusyMachineSaysNothing) {
  machine_.warnings = {"busy: other programs computed, a load of 2.5 on 2 cores"};
  EXPECT_EQ(chosen(1, 1), (ThreadCounts{1, 1}));
  EXPECT_EQ(chosen(64, 64), (ThreadCounts{4, 4}));
}

TEST_F(Threads, NeverMoreThanCanRunAtOnce) {
  const ThreadChoice choice = choose_threads(index_, machine_, {.token = 64, .batch = 64});
  EXPECT_EQ(choice.counts, (ThreadCounts{4, 4}));
  EXPECT_EQ(choice.why, "64 are usual, but only 4 can run at once");
}

TEST_F(Threads, NodesCountWhereWeightsAreFew) {
  machine_.nodes = {{.threads = 1, .node_us = 0.1}, {.threads = 4, .node_us = 500}};
  EXPECT_EQ(chosen(4, 4).token, 1);
}

}  // namespace
}  // namespace hypura
