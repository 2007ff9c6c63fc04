#include "model/printable.h"

namespace hypura {
namespace {

constexpr size_t kPrintableBytesMax = 256;

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

// U+0080 to U+009F in UTF-8: terminals may take them for escape sequences.
bool is_c1_control(unsigned char first, unsigned char second) {
  return first == 0xc2 && second >= 0x80 && second < 0xa0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kPrintableBytesMax));
  for (size_t i = 0; i < shown.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(shown[i]);
    if (is_control(c)) shown[i] = '?';
    if (i + 1 < shown.size() && is_c1_control(c, static_cast<unsigned char>(shown[i + 1]))) {
      shown[i] = shown[i + 1] = '?';
    }
  }
  if (text.size() > kPrintableBytesMax) shown += "...";
  return shown;
}

}  // namespace hypura
