#pragma once

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace hypura {

struct FilePart {
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Reads parts of files into the page cache in the background, in the order given, for somebody who
// then finds them there. It is only help: what cannot be read is left out, and nobody is told.
class ReadThrough {
 public:
  explicit ReadThrough(std::vector<FilePart> parts);
  // Stops within one step, 1 MiB.
  ~ReadThrough() = default;

 private:
  std::jthread thread_;
};

}  // namespace hypura
