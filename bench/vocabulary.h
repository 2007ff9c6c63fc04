#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hypura {

// A byte-level BPE vocabulary (GGUF's `gpt2`) of any size: the 256 bytes, so that every text has
// tokens; a few English merges; an end-of-text token; and then made-up words, which no text
// tokenises to but a model may well say.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;  // of llama.h's llama_token_type
  std::vector<std::string> merges;
  uint32_t end_of_text = 0;
  uint32_t first_word = 0;  // the made-up words begin here
};

// REQUIRES: size >= 512.
Vocabulary make_vocabulary(uint32_t size);

}  // namespace hypura
