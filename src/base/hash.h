#pragma once

#include <cstdint>
#include <string_view>

namespace hypura {

// FNV-1a, 64 bits: the same on every machine. http://www.isthe.com/chongo/tech/comp/fnv/
class Fnv1a {
 public:
  void add_bytes(std::string_view bytes) {
    for (const char byte : bytes) mix(static_cast<uint8_t>(byte));
  }
  // With an end, so that "a", "bc" differ from "ab", "c".
  void add(std::string_view text) {
    add_bytes(text);
    mix(0);
  }
  void add(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) mix(static_cast<uint8_t>(value >> shift));
  }
  uint64_t value() const { return value_; }

 private:
  void mix(uint8_t byte) { value_ = (value_ ^ byte) * 1099511628211u; }
  uint64_t value_ = 14695981039346656037u;
};

}  // namespace hypura
