#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "cli/exit_code.h"

namespace hypura::cli {
namespace {

std::atomic<bool> g_interrupted{false};
std::atomic<bool> g_asked_to_end{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler touches it");

void on_signal(int signal) {
  if (signal == SIGTERM) g_asked_to_end = true;
  if (g_interrupted.exchange(true)) _exit(kInterrupted);
}

}  // namespace

std::atomic<bool>& interrupt_flag() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return true;
  }();
  static_cast<void>(installed);
  return g_interrupted;
}

bool asked_to_end() { return g_asked_to_end.load(); }

}  // namespace hypura::cli
