#include "linear_program.h"

#include <algorithm>

#ifdef HYPURA_CLP
#include <ClpSimplex.hpp>
#endif

namespace hypura {

double greedy_optimum(std::vector<Item> items, double capacity) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.seconds * b.bytes > b.seconds * a.bytes; });
  double saved = 0;
  for (const Item& item : items) {
    if (item.bytes <= 0 || capacity <= 0) continue;
    const double part = std::min(1.0, capacity / item.bytes);
    saved += part * item.seconds;
    capacity -= part * item.bytes;
  }
  return saved;
}

#ifdef HYPURA_CLP
std::optional<double> solved_optimum(const std::vector<Item>& items, double capacity) {
  ClpSimplex program;
  program.setLogLevel(0);
  program.resize(0, static_cast<int>(items.size()));
  std::vector<int> columns;
  std::vector<double> bytes;
  for (size_t i = 0; i < items.size(); ++i) {
    const int column = static_cast<int>(i);
    program.setColumnBounds(column, 0, 1);
    program.setObjectiveCoefficient(column, -items[i].seconds);
    columns.push_back(column);
    bytes.push_back(items[i].bytes);
  }
  program.addRow(static_cast<int>(columns.size()), columns.data(), bytes.data(), -COIN_DBL_MAX,
                 capacity);
  program.primal();
  if (!program.isProvenOptimal()) return std::nullopt;
  return -program.objectiveValue();
}
#else
std::optional<double> solved_optimum(const std::vector<Item>&, double) { return std::nullopt; }
#endif

}  // namespace hypura
