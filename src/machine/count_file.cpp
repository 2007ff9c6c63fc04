#include "machine/count_file.h"

#include <fstream>

namespace hypura {

uint64_t count_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

}  // namespace hypura
