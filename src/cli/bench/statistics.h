#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace hypura::cli {

// A median and how sure it is, without assuming a distribution.
struct MedianInterval {
  double median = 0;
  double low = 0;
  double high = 0;
  double coverage = 0;  // how likely the true median lies in [low, high]
  size_t samples = 0;
};

// How likely the median lies between the rank-th smallest and the rank-th largest of `count`
// samples: 1 - 2 * sum over i < rank of C(count, i) / 2^count. REQUIRES: 1 <= rank <= count / 2.
double coverage(size_t count, size_t rank);

// By order statistics: the narrowest symmetric pair of samples that covers `confidence`, or the
// extremes where there are too few for it (fewer than 6 for 95 %). nullopt without samples.
std::optional<MedianInterval> median_interval(std::vector<double> samples,
                                              double confidence = 0.95);

// a[i] / b[i] where both are above 0: a sample that failed counts as 0 and takes its pair along.
std::vector<double> pair_ratios(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace hypura::cli
