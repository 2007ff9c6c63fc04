#pragma once

#include <array>
#include <cstdint>

namespace hypura {

// The deepest that is chosen automatically, and the deepest that may be asked for.
inline constexpr int kDraftDepthMax = 16;
inline constexpr int kDraftDepthAsked = 64;

// What one pass of the model over a token and the draft behind it has shown.
struct DraftPass {
  int drafted = 0;
  int accepted = 0;          // of these, from the front
  bool rejected = false;     // the model said otherwise than the token behind the accepted ones
  double pass_seconds = 0;   // of the model
  double draft_seconds = 0;  // spent on drafting
};

// How many tokens to draft for one pass of the model: as many as make most tokens a second, from
// what earlier passes took and how much of their drafts was accepted. Where weights stream, a pass
// takes about as long for ten tokens as for one, and deep wins; where each token brings experts of
// its own to read, it may be best not to draft at all. Then a draft is tried now and again, ever
// more seldom. Pure: values in, values out, no clock.
class DraftDepth {
 public:
  // `start`: for the first pass. The next two halve and double it, which tells what depth costs.
  explicit DraftDepth(int start);

  // For the next pass.
  int choose() const;
  void learn(const DraftPass& pass);

  // Estimates for a pass with `depth` drafted tokens: what it brings, its own token included, and
  // what it takes together with its draft.
  double expected_tokens(int depth) const;
  double expected_seconds(int depth) const;

 private:
  int best() const;
  void learn_slope(double pass_seconds);

  const int start_;
  uint64_t passes_ = 0;
  uint64_t undrafted_ = 0;  // passes in a row
  uint64_t patience_;       // undrafted passes until a draft is tried

  // Sums over passes, older ones weighing less.
  struct Sums {
    double weight = 0, depth = 0, seconds = 0, depth_squared = 0, depth_seconds = 0;
  };
  Sums sums_;
  double slope_ = 0;  // seconds that a drafted token adds to a pass
  double drafted_ = 0;
  double draft_seconds_ = 0;
  // By position in the draft: how often the model judged it, and agreed.
  std::array<double, kDraftDepthAsked> judged_{};
  std::array<double, kDraftDepthAsked> accepted_{};
};

}  // namespace hypura
