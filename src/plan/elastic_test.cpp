#include "plan/elastic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/units.h"

namespace hypura {
namespace {

constexpr ElasticMemory kMemory{.promised_bytes = 9500 * kMiB,
                                .reserve_bytes = 500 * kMiB,
                                .cache_least = 1000 * kMiB,
                                .cache_most = 8000 * kMiB};
constexpr double kLook = 0.025;  // seconds

// A machine of 10000 MiB with us and others. What we are told to have, we have touched.
class Machine {
 public:
  explicit Machine(const ElasticOptions& options = {}) : policy_(kMemory, options) {}

  // Looks until `seconds` have passed, while others take `bytes` more, evenly.
  void pass(double seconds, double bytes = 0) {
    const int looks = static_cast<int>(seconds / kLook);
    for (int i = 0; i < looks; ++i) {
      others_ += bytes / looks;
      look();
    }
  }
  void look(double stalled_share = 0, uint64_t major_faults = 0) {
    seconds_ += kLook;
    least_free_ = std::min(least_free_, free_bytes());
    const std::optional<uint64_t> target =
        policy_.decide({.seconds = seconds_,
                        .available_bytes = static_cast<uint64_t>(std::max(0.0, free_bytes())),
                        .resident_bytes = static_cast<uint64_t>(resident_bytes()),
                        .stalled_share = stalled_share,
                        .major_faults = major_faults},
                       cache_, 4 * kMiB);
    if (!target) return;
    EXPECT_NE(*target, cache_);
    EXPECT_GE(*target, kMemory.cache_least);
    EXPECT_LE(*target, kMemory.cache_most);
    ++(*target < cache_ ? shrinks_ : growths_);
    largest_step_ = std::max(largest_step_, std::max(*target, cache_) - std::min(*target, cache_));
    cache_ = *target;
  }

  void touch_only(double share) { touched_share_ = share; }
  double resident_bytes() const {
    const uint64_t promised = kMemory.promised_bytes - kMemory.cache_most + cache_;
    return touched_share_ * static_cast<double>(promised);
  }
  double free_bytes() const { return 10'000.0 * kMiB - others_ - resident_bytes(); }
  uint64_t cache() const { return cache_; }
  int shrinks() const { return shrinks_; }
  int growths() const { return growths_; }
  double least_free() const { return least_free_; }
  uint64_t largest_step() const { return largest_step_; }

 private:
  ElasticPolicy policy_;
  double seconds_ = 0;
  double others_ = 0;
  double touched_share_ = 1;
  uint64_t cache_ = kMemory.cache_most;
  int shrinks_ = 0;
  int growths_ = 0;
  double least_free_ = 10'000.0 * kMiB;
  uint64_t largest_step_ = 0;
};

TEST(ElasticPolicy, LeavesAQuietMachineAlone) {
  Machine machine;
  machine.pass(60);
  EXPECT_EQ(machine.shrinks() + machine.growths(), 0);
}

TEST(ElasticPolicy, WhatIsPromisedButNotTouchedYetIsNotOthers) {
  Machine machine;
  machine.touch_only(0.2);
  machine.pass(1);
  machine.touch_only(1);  // within one look
  machine.pass(10);
  EXPECT_EQ(machine.shrinks(), 0);
}

TEST(ElasticPolicy, AHogOfHalfTheMemoryNeverMeetsAnEmptyMachine) {
  for (const double seconds : {0.6, 1.0, 2.0, 5.0, 20.0}) {
    SCOPED_TRACE(seconds);
    Machine machine;
    machine.pass(1);
    machine.pass(seconds, 5000.0 * kMiB);
    EXPECT_GT(machine.least_free(), 0);
    machine.pass(0.5);
    EXPECT_GE(machine.free_bytes(), 240.0 * kMiB);
    // 3000 are what it leaves; what it might have taken in 0.3 s more is given, too.
    if (seconds < 2) continue;
    EXPECT_GT(machine.cache(), 2000 * kMiB);
    EXPECT_LE(machine.largest_step(), 512 * kMiB);
  }
}

TEST(ElasticPolicy, GrowsBackSlowlyAfterQuiet) {
  Machine machine;
  machine.pass(2, 5000.0 * kMiB);
  machine.pass(1);
  const uint64_t shrunk = machine.cache();
  machine.pass(0.1, -5000.0 * kMiB);
  machine.pass(3.5);
  EXPECT_EQ(machine.cache(), shrunk) << "not at once";
  machine.pass(10);
  EXPECT_GT(machine.cache(), shrunk + 500 * kMiB);
  EXPECT_LT(machine.cache(), shrunk + 10 * 180 * kMiB) << "2 % a second";
  machine.pass(60);
  EXPECT_EQ(machine.cache(), kMemory.cache_most);
}

TEST(ElasticPolicy, NeverBelowTheLeast) {
  Machine machine;
  machine.pass(2, 9'000.0 * kMiB);
  machine.pass(2);
  EXPECT_EQ(machine.cache(), kMemory.cache_least);
}

TEST(ElasticPolicy, NoiseDoesNotMakeItShrinkAndGrow) {
  Machine machine;
  std::mt19937 generator(1);
  double others = 0;
  for (int i = 0; i < 4000; ++i) {
    const double now = static_cast<double>(generator() % 30) * kMiB;
    machine.pass(kLook, now - others);
    others = now;
  }
  EXPECT_EQ(machine.shrinks() + machine.growths(), 0);
}

TEST(ElasticPolicy, BetweenHalfTheReserveAndAllOfItNothingChanges) {
  Machine machine;
  machine.pass(20, 200.0 * kMiB);
  EXPECT_EQ(machine.shrinks(), 0);
  machine.pass(20, 100.0 * kMiB);
  EXPECT_GT(machine.shrinks(), 0);
  const int shrinks = machine.shrinks();
  const int growths = machine.growths();
  machine.pass(20, -100.0 * kMiB);
  machine.pass(20, 100.0 * kMiB);
  EXPECT_EQ(machine.shrinks(), shrinks) << "what it gave then lasts";
  EXPECT_LE(machine.growths() - growths, 20);
}

TEST(ElasticPolicy, WaitingForMemoryDoublesTheReserveAndNoMore) {
  Machine machine;
  for (int i = 0; i < 400; ++i) machine.look(0.5);
  EXPECT_NEAR(machine.free_bytes() / kMiB, 1000, 1) << "two reserves";
  Machine faulting;
  for (int i = 0; i < 400; ++i) faulting.look(0, 100);
  EXPECT_NEAR(faulting.free_bytes() / kMiB, 1000, 1);
  Machine hardly;
  for (int i = 0; i < 400; ++i) hardly.look(0.05, 10);
  EXPECT_EQ(hardly.shrinks(), 0);
}

TEST(ElasticPolicy, GrowsInStepsThatChangeSomething) {
  ElasticPolicy policy(kMemory);
  uint64_t cache = 2000 * kMiB;
  uint64_t before = cache;
  for (double seconds = 0; seconds < 120; seconds += kLook) {
    const uint64_t resident_bytes = kMemory.promised_bytes - kMemory.cache_most + cache;
    const std::optional<uint64_t> target =
        policy.decide({.seconds = seconds,
                       .available_bytes = 10'000 * kMiB - resident_bytes,
                       .resident_bytes = resident_bytes},
                      cache, 300 * kMiB);
    if (!target) continue;
    EXPECT_TRUE(*target >= before + 300 * kMiB || *target == kMemory.cache_most);
    before = cache = *target;
  }
  EXPECT_EQ(cache, kMemory.cache_most);
}

}  // namespace
}  // namespace hypura
