#pragma once

#include <cstddef>
#include <span>
#include <thread>
#include <vector>

namespace hypura {

// Makes pages present in the background, so that opening a model does not wait for gigabytes to be
// zeroed. Whatever is read into a page before its turn faults it in by itself. Ranges outlive it.
class Prefaulter {
 public:
  explicit Prefaulter(std::vector<std::span<std::byte>> ranges);
  // Stops within one step, 32 MiB.
  ~Prefaulter() = default;

 private:
  std::jthread thread_;
};

}  // namespace hypura
