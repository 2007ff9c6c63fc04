#include "plan/mode.h"

namespace hypura {

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::automatic:
      return "auto";
    case Mode::resident:
      return "resident";
    case Mode::mapped:
      return "mapped";
    case Mode::experts:
      return "experts";
    case Mode::dense:
      return "dense";
    case Mode::mixed:
      return "mixed";
  }
  return "";
}

bool streams(Mode mode) {
  return mode == Mode::experts || mode == Mode::dense || mode == Mode::mixed;
}

std::optional<Mode> parse_mode(std::string_view text) {
  for (const Mode mode : {Mode::resident, Mode::mapped, Mode::experts, Mode::dense, Mode::mixed}) {
    if (text == to_string(mode)) return mode;
  }
  return std::nullopt;
}

Mode mode_of(const Layout& layout, bool copies_experts) {
  const bool experts = copies_experts || !layout.pools.empty();
  const bool dense = layout.ring_bytes > 0;
  if (experts && dense) return Mode::mixed;
  return experts ? Mode::experts : Mode::dense;
}

}  // namespace hypura
