#include "machine/repeated.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace hypura {
namespace {

// At `share` of sorted values, between neighbours where it falls between them.
double at_share(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

double Repeated::median() const { return empty() ? 0 : at_share(sorted(rates_), 0.5); }

double Repeated::fast() const { return empty() ? 0 : at_share(sorted(rates_), 0.9); }

double Repeated::spread() const {
  if (rates_.size() < 3 || median() <= 0) return 0;
  const std::vector<double> rates = sorted(rates_);
  return (at_share(rates, 0.75) - at_share(rates, 0.25)) / median();
}

double Repeated::slowdown() const {
  const std::ptrdiff_t third = std::ssize(rates_) / 3;
  if (third < 2) return 0;
  const double early = at_share(sorted({rates_.begin(), rates_.begin() + third}), 0.5);
  const double late = at_share(sorted({rates_.end() - third, rates_.end()}), 0.5);
  return early > 0 ? std::max(0.0, 1 - late / early) : 0;
}

double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 3);
  // Dividing by a power of ten above 1 keeps decimals short: 0.1234, not 0.12340000000000001.
  return unit < 1 ? std::round(value / unit) / std::round(1 / unit)
                  : std::round(value / unit) * unit;
}

}  // namespace hypura
