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

Mode mode_of(const Layout& layout) {
  const bool experts = !layout.pools.empty();
  const bool dense = layout.ring_bytes > 0;
  if (experts && dense) return Mode::mixed;
  return experts ? Mode::experts : Mode::dense;
}

}  // namespace hypura
