#pragma once

#include <cstdint>
#include <string>

namespace hypura {

// How often the processor was slowed down for its heat since the system started, over all cores; 0
// where the system does not count it. `folder` for tests.
uint64_t throttle_events(const std::string& folder = "/sys/devices/system/cpu");

// Of the first core: "performance", "powersave", "schedutil"; empty where nothing is scaled.
std::string frequency_governor(const std::string& folder = "/sys/devices/system/cpu");
// "intel_pstate", "acpi-cpufreq", ...
std::string frequency_driver(const std::string& folder = "/sys/devices/system/cpu");

}  // namespace hypura
