#include "engine/utf8.h"

#include <utility>

namespace hypura {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes of a character that starts with `lead`; 0 if none does.
size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

bool is_continuation(unsigned char byte, size_t position, unsigned char lead) {
  if ((byte & 0xC0) != 0x80) return false;
  if (position != 1) return true;
  // Overlong forms, surrogates, and beyond U+10FFFF.
  if (lead == 0xE0) return byte >= 0xA0;
  if (lead == 0xED) return byte <= 0x9F;
  if (lead == 0xF0) return byte >= 0x90;
  if (lead == 0xF4) return byte <= 0x8F;
  return true;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  std::string text;
  size_t at = 0;
  while (at < pending_.size()) {
    const unsigned char lead = static_cast<unsigned char>(pending_[at]);
    const size_t length = length_of(lead);
    size_t have = 1;
    while (have < length && at + have < pending_.size() &&
           is_continuation(static_cast<unsigned char>(pending_[at + have]), have, lead)) {
      ++have;
    }
    if (have == length) {
      text.append(pending_, at, length);
      at += length;
    } else if (length > 0 && at + have == pending_.size()) {
      break;  // the rest may still come
    } else {
      text += kReplacement;
      at += have;
    }
  }
  pending_.erase(0, at);
  return text;
}

std::string Utf8Stream::finish() {
  return std::exchange(pending_, std::string()).empty() ? std::string()
                                                        : std::string(kReplacement);
}

}  // namespace hypura
