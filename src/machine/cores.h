#pragma once

#include <string>
#include <vector>

namespace hypura {

struct Cores {
  int physical = 1;  // that this process may use, within its quota
  int logical = 1;   // that it may be scheduled on
  double quota = 0;  // processor time a second that control groups allow; 0: no limit
};

Cores usable_cores();

// Physical cores among the logical ones `cpus`, from `folder`/cpuN/topology. A CPU about which the
// system says nothing counts as a core.
int physical_cores(const std::vector<int>& cpus, const std::string& folder);

// Processor time a second that the control groups of this process allow: cpu.max (version 2) or
// cpu.cfs_* (1); 0: no limit. `root` is put in front of all paths, for tests.
double cpu_quota(const std::string& root = "");

}  // namespace hypura
