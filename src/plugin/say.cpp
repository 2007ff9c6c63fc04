#include "plugin/say.h"

#include <fmt/format.h>

#include <cstdio>

namespace hypura {

void say(std::string_view message) {
  // In one piece: the host's threads write there, too.
  const std::string line = fmt::format("hypura: {}\n", message);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void say(const Status& error) { say(error.to_string()); }

}  // namespace hypura
