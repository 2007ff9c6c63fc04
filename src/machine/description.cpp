#include "machine/description.h"

#include <sys/utsname.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include <array>
#include <fstream>
#include <thread>

namespace hypura {
namespace {

std::string cpu_name(const std::string& architecture) {
#ifdef __APPLE__
  std::array<char, 128> name{};
  size_t size = name.size() - 1;
  if (::sysctlbyname("machdep.cpu.brand_string", name.data(), &size, nullptr, 0) == 0) {
    return name.data();
  }
#endif
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return architecture;
}

}  // namespace

MachineDescription describe_machine() {
  utsname names{};
  ::uname(&names);
  double load = 0;
  ::getloadavg(&load, 1);
  return {.cpu = cpu_name(names.machine),
          .cores = std::thread::hardware_concurrency(),
          .memory_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) *
                          static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)),
          .system = std::string(names.sysname) + " " + names.release,
          .load = load};
}

}  // namespace hypura
