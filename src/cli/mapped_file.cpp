#include "cli/mapped_file.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "cli/exit_code.h"

namespace hypura::cli {
namespace {

// Made beforehand: a signal handler may only write it.
std::string g_message;

void on_lost_page(int) {
  const ssize_t ignored = write(STDERR_FILENO, g_message.data(), g_message.size());
  static_cast<void>(ignored);
  _exit(kFailed);
}

}  // namespace

void watch_mapped_file(const std::string& path) {
  g_message = fmt::format(
      "\nerror: {} cannot be read any more\n"
      "  why: the file was truncated, or its drive fails (SIGBUS)\n"
      "  try: replace a model file by renaming a new one over it, not in place\n",
      path);
  struct sigaction action {};
  action.sa_handler = on_lost_page;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace hypura::cli
