#include "cli/bench/statistics.h"

#include <algorithm>
#include <cmath>

namespace hypura::cli {

double coverage(size_t count, size_t rank) {
  const double n = static_cast<double>(count);
  double probability = std::exp2(-n);  // of exactly i samples below the median
  double below = 0;
  for (size_t i = 0; i < rank; ++i) {
    below += probability;
    probability *= (n - static_cast<double>(i)) / static_cast<double>(i + 1);
  }
  return 1 - 2 * below;
}

std::optional<MedianInterval> median_interval(std::vector<double> samples, double confidence) {
  const size_t count = samples.size();
  if (count == 0) return std::nullopt;
  std::sort(samples.begin(), samples.end());
  size_t rank = 1;
  while (2 * (rank + 1) <= count && coverage(count, rank + 1) >= confidence) ++rank;
  return MedianInterval{
      .median = (samples[(count - 1) / 2] + samples[count / 2]) / 2,
      .low = samples[rank - 1],
      .high = samples[count - rank],
      .coverage = count == 1 ? 0 : coverage(count, rank),
      .samples = count,
  };
}

std::vector<double> pair_ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] > 0 && b[i] > 0) ratios.push_back(a[i] / b[i]);
  }
  return ratios;
}

}  // namespace hypura::cli
