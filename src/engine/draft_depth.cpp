#include "engine/draft_depth.h"

#include <algorithm>

#include "base/check.h"

namespace hypura {
namespace {

// A pass counts 5 % less with each that follows: about 20 are remembered, a few sentences.
constexpr double kMemory = 0.95;

// Until it is known better: a draft model of the same family agrees on about 0.7 of the tokens, and
// a token more makes a pass 5 % longer. Worth so many observations.
constexpr double kAcceptance = 0.7;
constexpr double kAcceptanceWeight = 2;
constexpr double kPositionWeight = 3;
constexpr double kTokenShare = 0.05;
constexpr double kSlopeWeight = 1;

// Passes between tries of another depth. Not drafting doubles them, so that a model for which
// drafting never pays spends less than 1 % on finding that out.
constexpr uint64_t kPatience = 16;
constexpr uint64_t kPatienceMax = 256;

}  // namespace

DraftDepth::DraftDepth(int start) : start_(start), patience_(kPatience) {
  HYPURA_CHECK(start > 0 && start <= kDraftDepthMax);
}

int DraftDepth::choose() const {
  if (passes_ == 0) return start_;
  if (passes_ == 1) return start_ / 2;
  if (passes_ == 2) return std::min(2 * start_, kDraftDepthMax);
  const int depth = best();
  if (depth == 0) return undrafted_ >= patience_ ? 1 : 0;
  // One depth for ever would not show what a smaller one costs.
  return passes_ % kPatience == 0 ? depth / 2 : depth;
}

void DraftDepth::learn(const DraftPass& pass) {
  HYPURA_CHECK(pass.drafted <= kDraftDepthAsked);
  HYPURA_CHECK(pass.accepted <= pass.drafted);
  ++passes_;

  const double depth = pass.drafted;
  for (double* sum : {&sums_.weight, &sums_.depth, &sums_.seconds, &sums_.depth_squared,
                      &sums_.depth_seconds, &drafted_, &draft_seconds_}) {
    *sum *= kMemory;
  }
  sums_.weight += 1;
  sums_.depth += depth;
  sums_.seconds += pass.pass_seconds;
  sums_.depth_squared += depth * depth;
  sums_.depth_seconds += depth * pass.pass_seconds;
  drafted_ += depth;
  draft_seconds_ += pass.draft_seconds;

  learn_slope(pass.pass_seconds);

  if (pass.drafted > 0) {
    for (double& count : judged_) count *= kMemory;
    for (double& count : accepted_) count *= kMemory;
  }
  for (size_t i = 0; i < static_cast<size_t>(pass.accepted); ++i) {
    judged_[i] += 1;
    accepted_[i] += 1;
  }
  if (pass.rejected) judged_[static_cast<size_t>(pass.accepted)] += 1;

  if (pass.drafted == 0) {
    ++undrafted_;
    return;
  }
  undrafted_ = 0;
  patience_ = best() > 0 ? kPatience : std::min(2 * patience_, kPatienceMax);
}

// Passes of about one depth say nothing about the slope: it is then drawn to what it was.
void DraftDepth::learn_slope(double pass_seconds) {
  if (passes_ == 1) slope_ = kTokenShare * pass_seconds;
  const double spread = sums_.depth_squared - sums_.depth * sums_.depth / sums_.weight;
  const double together = sums_.depth_seconds - sums_.depth * sums_.seconds / sums_.weight;
  slope_ = std::max(0.0, (together + kSlopeWeight * slope_) / (spread + kSlopeWeight));
}

double DraftDepth::expected_tokens(int depth) const {
  double judged = kAcceptanceWeight;
  double accepted = kAcceptance * kAcceptanceWeight;
  for (size_t i = 0; i < judged_.size(); ++i) {
    judged += judged_[i];
    accepted += accepted_[i];
  }
  const double usual = accepted / judged;
  double tokens = 1;
  double all_so_far = 1;
  for (size_t i = 0; i < static_cast<size_t>(depth); ++i) {
    all_so_far *= (accepted_[i] + kPositionWeight * usual) / (judged_[i] + kPositionWeight);
    tokens += all_so_far;
  }
  return tokens;
}

// A line through the passes, with the slope that is remembered.
double DraftDepth::expected_seconds(int depth) const {
  if (sums_.weight <= 0) return 0;
  const double mean_depth = sums_.depth / sums_.weight;
  const double mean_seconds = sums_.seconds / sums_.weight;
  // However steep the line, a pass without a draft takes its share of the mean.
  const double least = mean_seconds / (1 + mean_depth);
  const double pass = std::max(least, mean_seconds + slope_ * (depth - mean_depth));
  const double token = drafted_ > 0 ? draft_seconds_ / drafted_ : 0;
  return pass + depth * token;
}

int DraftDepth::best() const {
  int best = 0;
  double most = 0;
  for (int depth = 0; depth <= kDraftDepthMax; ++depth) {
    const double seconds = expected_seconds(depth);
    const double rate = seconds > 0 ? expected_tokens(depth) / seconds : 0;
    if (rate > most) best = depth, most = rate;
  }
  return best;
}

}  // namespace hypura
