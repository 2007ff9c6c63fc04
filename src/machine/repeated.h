#pragma once

#include <vector>

namespace hypura {

// Rates of one thing, measured again and again, in the order of time.
class Repeated {
 public:
  void add(double rate) { rates_.push_back(rate); }
  void add(const Repeated& later) {
    rates_.insert(rates_.end(), later.rates_.begin(), later.rates_.end());
  }
  bool empty() const { return rates_.empty(); }

  // 0 of nothing.
  double median() const;
  // What a tenth reached: other programs disturb a processor, none makes it faster. 0 of nothing.
  double fast() const;
  // From the slowest to the fastest quarter, in medians; 0 of fewer than three.
  double spread() const;
  // How much slower the last third was than the first, as a share; 0 if it was not, or of fewer
  // than six.
  double slowdown() const;

 private:
  std::vector<double> rates_;
};

// What a reader should know of a measurement (docs: hypura profile).
inline constexpr double kNoisySpread = 0.15;
inline constexpr double kThrottledShare = 0.20;

// Four digits: more were not measured, and a person reads them.
double rounded(double value);

}  // namespace hypura
