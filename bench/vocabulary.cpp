#include "vocabulary.h"

#include <array>
#include <string_view>

namespace hypura {
namespace {

constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;

constexpr std::array<std::string_view, 12> kMerges{"t h", "th e", "i n",  "a n", "an d", "o u",
                                                   "e r", "o n",  "in g", "r e", "a t",  "e n"};

std::string utf8(uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// GPT-2 writes a byte as a printable character: itself where it is one, else from U+0100 onwards.
std::array<std::string, 256> byte_tokens() {
  std::array<std::string, 256> tokens;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    tokens[byte] = utf8(printable ? byte : next++);
  }
  return tokens;
}

// 20 consonants x 5 vowels = 100 syllables: four of them name any token below 10^8.
std::string made_up_word(uint32_t index) {
  constexpr std::string_view kConsonants = "bcdfghjklmnpqrstvwxz";
  constexpr std::string_view kVowels = "aeiou";
  std::string word = utf8(0x120);  // GPT-2's space
  for (uint32_t rest = index, first = 1; first != 0 || rest > 0; first = 0, rest /= 100) {
    word += kConsonants[rest % 100 / 5];
    word += kVowels[rest % 5];
  }
  return word;
}

}  // namespace

Vocabulary make_vocabulary(uint32_t size) {
  Vocabulary vocabulary;
  for (std::string& token : byte_tokens()) vocabulary.tokens.push_back(std::move(token));
  for (std::string_view merge : kMerges) {
    vocabulary.merges.emplace_back(merge);
    std::string token(merge);
    vocabulary.tokens.push_back(token.erase(token.find(' '), 1));
  }
  vocabulary.types.assign(vocabulary.tokens.size(), kNormal);

  vocabulary.end_of_text = static_cast<uint32_t>(vocabulary.tokens.size());
  vocabulary.tokens.emplace_back("<|endoftext|>");
  vocabulary.types.push_back(kControl);

  vocabulary.first_word = static_cast<uint32_t>(vocabulary.tokens.size());
  for (uint32_t index = 0; vocabulary.tokens.size() < size; ++index) {
    vocabulary.tokens.push_back(made_up_word(index));
    vocabulary.types.push_back(kNormal);
  }
  return vocabulary;
}

}  // namespace hypura
