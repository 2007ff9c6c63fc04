#pragma once

#include <string>
#include <vector>

#include "machine/health.h"

namespace hypura {

enum class Severity {
  advice,  // it works, and would work better
  broken,  // nothing can run
};

struct Finding {
  Severity severity = Severity::advice;
  std::string topic;  // "direct reads"
  std::string what;   // what is so, and what it costs
  std::string fix;    // a command, or what to change
};

// Everything that hinders, what is broken first. `profile_warnings` are those of the machine's
// profile. Pure.
std::vector<Finding> diagnose(const Health& health,
                              const std::vector<std::string>& profile_warnings);

}  // namespace hypura
