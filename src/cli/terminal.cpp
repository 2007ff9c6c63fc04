#include "cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/units.h"

namespace hypura::cli {
namespace {

constexpr double kQuietSeconds = 0.5;

int g_write_errno = 0;  // of the last write_answer() that failed

}  // namespace

bool write_answer(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0) {
    return true;
  }
  g_write_errno = errno;
  return false;
}

Status write_failure() {
  if (g_write_errno == EPIPE) return Status();
  return Status(StatusCode::failed, "cannot write to standard output")
      .because(std::strerror(g_write_errno));
}

void write_note(const std::string& text) { std::fputs(text.c_str(), stderr); }

ProgressLine::~ProgressLine() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void ProgressLine::update(uint64_t done_bytes, uint64_t total_bytes) {
  show(fmt::format("loading {} of {}", format_bytes(done_bytes), format_bytes(total_bytes)));
}

void ProgressLine::show(const std::string& text) {
  if (isatty(STDERR_FILENO) == 0) return;
  const double now = now_seconds();
  if (start_seconds_ == 0) start_seconds_ = now;
  if (now - start_seconds_ < kQuietSeconds) return;
  shown_ = true;
  std::fputs(fmt::format("\r{}\033[K", text).c_str(), stderr);
}

}  // namespace hypura::cli
