#include "machine/cpu_state.h"

#include <cctype>
#include <filesystem>
#include <fstream>

namespace hypura {
namespace {

namespace fs = std::filesystem;

std::string first_word(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

}  // namespace

uint64_t throttle_events(const std::string& folder) {
  uint64_t events = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("cpu") || name.size() < 4 || std::isdigit(name[3]) == 0) continue;
    std::ifstream file(entry.path() / "thermal_throttle/core_throttle_count");
    uint64_t count = 0;
    if (file >> count) events += count;
  }
  return events;
}

std::string frequency_governor(const std::string& folder) {
  return first_word(folder + "/cpu0/cpufreq/scaling_governor");
}

std::string frequency_driver(const std::string& folder) {
  return first_word(folder + "/cpu0/cpufreq/scaling_driver");
}

}  // namespace hypura
