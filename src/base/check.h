#pragma once

namespace hypura::internal {

// Prints the failed condition and aborts. Stays on in release builds.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace hypura::internal

// A condition that only a bug of ours can break. One condition per CHECK.
#define HYPURA_CHECK(condition)                                                      \
  do {                                                                               \
    if (!(condition)) ::hypura::internal::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
