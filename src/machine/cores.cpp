#include "machine/cores.h"

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <thread>

#include "machine/own_groups.h"

namespace hypura {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// 0: no limit, or no such group.
double quota_of(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream version2(folder + "cpu.max");  // "150000 100000" or "max 100000"
  if (version2 >> quota >> period && period > 0) return std::max(0.0, quota / period);
  std::ifstream version1_quota(folder + "cpu.cfs_quota_us");  // -1: no limit
  std::ifstream version1_period(folder + "cpu.cfs_period_us");
  if (version1_quota >> quota && version1_period >> period && quota > 0 && period > 0) {
    return quota / period;
  }
  return 0;
}

double least(double a, double b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

#if defined(__linux__)

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;  // more than 1024 CPUs
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

#endif

}  // namespace

double cpu_quota(const std::string& root) {
  double quota = 0;
  for (const OwnGroup& group : own_groups("cpu", root)) {
    quota = least(quota, quota_of(group.folder));
  }
  return quota;
}

int physical_cores(const std::vector<int>& cpus, const std::string& folder) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const std::string name = folder + "/cpu" + std::to_string(cpu);
    const std::string siblings = first_line(name + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? name : siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

Cores usable_cores() {
  Cores cores;
  cores.logical = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cores.physical = cores.logical;
#if defined(__linux__)
  if (const std::vector<int> cpus = allowed_cpus(); !cpus.empty()) {
    cores.logical = static_cast<int>(cpus.size());
    cores.physical = physical_cores(cpus, "/sys/devices/system/cpu");
  }
  cores.quota = cpu_quota();
  if (cores.quota > 0) {
    const int allowed = std::max(1, static_cast<int>(std::ceil(cores.quota)));
    cores.physical = std::min(cores.physical, allowed);
  }
#elif defined(__APPLE__)
  int count = 0;
  size_t size = sizeof count;
  if (sysctlbyname("hw.physicalcpu", &count, &size, nullptr, 0) == 0) cores.physical = count;
#endif
  return cores;
}

}  // namespace hypura
