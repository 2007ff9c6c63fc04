#pragma once

#include <cstdint>

namespace hypura {

enum class ThreadUrgency : uint8_t {
  waited_for,  // somebody waits for what it does: as soon as possible
  background,  // nobody does: when nothing else is to be done, on slow cores as well
};

// Says what the calling thread is for. Has an effect on macOS, which chooses among fast and slow
// cores by it (its quality of service). ggml's compute threads are not ours to name: they keep the
// default class, which lies between the two, so reads do not wait behind computing.
void set_thread_urgency(ThreadUrgency urgency);

}  // namespace hypura
