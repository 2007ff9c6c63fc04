#pragma once

#include <optional>
#include <vector>

namespace hypura {

// What may lie in memory, whole or in part: its bytes, and the seconds a token saves if all of it
// does.
struct Item {
  double bytes = 0;
  double seconds = 0;
};

// The most that `capacity` bytes can save: maximise sum(x * seconds), sum(x * bytes) <= capacity,
// 0 <= x <= 1. This linear program relaxes placement, in which tensors are whole and slots are
// integers, so no placement saves more. Its optimum takes items by seconds a byte, the last one in
// part: moving bytes from an item taken to one not taken exchanges a higher ratio for a lower or
// equal one, so it never gains.
double greedy_optimum(std::vector<Item> items, double capacity);

// The same by COIN-OR CLP; nullopt in a build without it.
std::optional<double> solved_optimum(const std::vector<Item>& items, double capacity);

}  // namespace hypura
