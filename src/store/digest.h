#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct sha256_t;

namespace hypura {

// SHA-256 of bytes that come piece by piece. Move-only, used by one thread.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void add(std::string_view bytes);
  // 64 digits in lower case. Ends it: nothing is added afterwards.
  std::string hex();

 private:
  std::unique_ptr<sha256_t> state_;
};

// Whether it is 64 hexadecimal digits, and in lower case.
bool is_sha256(std::string_view text);

}  // namespace hypura
