#pragma once

#include <atomic>

#include "base/status.h"

namespace hypura {

// What ends a graph early, set from anywhere. Null: nothing does. They outlive whoever looks.
struct StopSignals {
  const std::atomic<bool>* interrupted = nullptr;  // by the user
  const std::atomic<bool>* gives_up = nullptr;     // nobody waits for the answer

  // Errors: interrupted; failed, if nobody waits.
  Status check() const {
    if (interrupted != nullptr && interrupted->load(std::memory_order_relaxed)) {
      return Status(StatusCode::interrupted, "interrupted");
    }
    if (gives_up != nullptr && gives_up->load(std::memory_order_relaxed)) {
      return Status(StatusCode::failed, "nobody waits for the answer any more");
    }
    return Status();
  }
};

}  // namespace hypura
