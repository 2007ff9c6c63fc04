#include "plan/token_walk.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace hypura {
namespace {

// Chosen experts are read with so many reads in flight (io/read_queue.h), in chunks of at most
// this.
constexpr double kExpertDepth = 8;
constexpr uint64_t kChunkBytes = uint64_t{1} << 20;
// Of the next layer's experts, those that its router names when applied early: 92 % on the embedded
// model (docs/experiments.md, "Reading experts ahead of their router"), which is in no error table.
constexpr double kGuessesRight = 0.92;
// The first token fills the ring, the second is in the steady state.
constexpr int kTokens = 3;

class Walk {
 public:
  explicit Walk(const WalkInput& input) : input_(input) {}

  WalkTimes run() {
    for (int token = 0; token < kTokens; ++token) {
      const double start = now_;
      times_ = {};
      for (size_t i = 0; i < input_.steps.size(); ++i) take(i);
      times_.token_seconds = now_ - start;
    }
    return times_;
  }

 private:
  void take(size_t index);
  void take_experts(const ExpertStage& stage);
  void read_ahead();
  double expert_rate(const ExpertStage& stage, double missing) const;

  const WalkInput& input_;
  WalkTimes times_;
  double now_ = 0;
  double drive_free_ = 0;     // when the drive ends what it was told to read
  size_t next_read_ = 0;      // step whose ring piece is read next, cyclic
  double ring_used_ = 0;      // bytes read or being read, not yet computed
  std::deque<double> ready_;  // of the pieces in the ring, in order
  double idle_since_ = 0;     // when the last experts had been read
};

// Ring pieces that fit are asked for at once; the drive reads them one after the other.
void Walk::read_ahead() {
  if (input_.ring_bytes_per_second <= 0) return;
  for (size_t looked = 0; looked < input_.steps.size(); ++looked) {
    const double bytes = input_.steps[next_read_].ring_bytes;
    if (bytes > 0) {
      // A piece larger than the ring passes through it, too: nothing else is in it then.
      if (!ready_.empty() && ring_used_ + bytes > input_.ring_capacity_bytes) return;
      drive_free_ = std::max(drive_free_, now_) + bytes / input_.ring_bytes_per_second;
      ready_.push_back(drive_free_);
      ring_used_ += bytes;
      looked = 0;
    }
    next_read_ = (next_read_ + 1) % input_.steps.size();
  }
}

void Walk::take(size_t index) {
  const WalkStep& step = input_.steps[index];
  if (step.experts) return take_experts(step.stage);
  if (step.ring_bytes > 0 && input_.ring_bytes_per_second > 0) {
    read_ahead();
    const double wait = std::max(0.0, ready_.front() - now_);
    ready_.pop_front();
    now_ += wait;
    times_.wait_seconds += wait;
    times_.read_bytes += step.ring_bytes;
    times_.read_seconds += step.ring_bytes / input_.ring_bytes_per_second;
    now_ += input_.call_seconds;
    times_.call_seconds += input_.call_seconds;
  }
  now_ += step.compute_seconds;
  if (step.ring_bytes > 0) {
    ring_used_ -= step.ring_bytes;
    read_ahead();
  }
}

double Walk::expert_rate(const ExpertStage& stage, double missing) const {
  const uint64_t read = std::min(kChunkBytes, static_cast<uint64_t>(stage.slice_bytes));
  const double chunks = std::ceil(stage.slice_bytes / static_cast<double>(kChunkBytes));
  const double reads = std::max(1.0, missing * stage.slices * chunks);
  return 1e9 *
         drive_gbps(*input_.drive, {.read_bytes = read, .depth = std::min(kExpertDepth, reads)});
}

// Of `used` experts each is missing by itself with 1 - hit_share: a binomial distribution. Those
// that are there compute while the others are read; of those the last one to arrive is computed
// behind.
void Walk::take_experts(const ExpertStage& stage) {
  const double missing_share = 1 - stage.hit_share;
  const double latency = drive_latency_seconds(*input_.drive);
  // While a layer before computed and nobody asked for anything, the drive read guesses.
  const double idle = std::max(0.0, now_ - std::max(idle_since_, drive_free_));
  const double compute = stage.used * stage.expert_seconds;
  double expected_seconds = 0;
  double expected_read = 0;
  double probability = std::pow(stage.hit_share, stage.used);
  for (uint32_t missing = 0; missing <= stage.used; ++missing) {
    if (missing > 0) {
      if (stage.hit_share <= 0) {
        probability = missing == stage.used ? 1 : 0;
      } else {
        probability *= (stage.used - missing + 1.0) / missing * missing_share / stage.hit_share;
      }
    }
    if (probability <= 0) continue;
    double seconds = compute;
    if (missing > 0) {
      const double rate = expert_rate(stage, missing);
      const double bytes = missing * stage.expert_bytes;
      const double guessed = input_.prefetch ? std::min(kGuessesRight * bytes, idle * rate) : 0;
      const double read = rate > 0 ? bytes / rate : 0;
      const double arrived = rate > 0 ? latency + (bytes - guessed) / rate : 0;
      seconds = std::max(compute, arrived + stage.expert_seconds);
      expected_read += probability * read;
    }
    expected_seconds += probability * seconds;
  }
  // Pieces of the ring that are under way are in front of the experts' first read, at most one of
  // them: reads that somebody waits for come first.
  now_ += expected_seconds;
  times_.wait_seconds += std::max(0.0, expected_seconds - compute);
  times_.read_bytes += stage.used * missing_share * stage.expert_bytes;
  times_.read_seconds += expected_read;
  // What the ring's reads lose to them.
  drive_free_ = std::max(drive_free_, now_ - expected_seconds) + expected_read;
  if (input_.ring_bytes_per_second <= 0) drive_free_ = now_ - stage.expert_seconds;
  idle_since_ = now_ - std::min(expected_seconds, stage.expert_seconds);
  now_ += input_.call_seconds * stage.slices;
  times_.call_seconds += input_.call_seconds * stage.slices;
}

}  // namespace

WalkTimes walk_tokens(const WalkInput& input) { return Walk(input).run(); }

}  // namespace hypura
