#include "cli/tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "engine/utf8.h"

namespace hypura::cli {
namespace {

Status broken_vocabulary(const Engine& engine, const std::string& why) {
  return Status(StatusCode::invalid_model,
                fmt::format("{}: its vocabulary cannot encode the prompt",
                            engine.index().shards().front().path))
      .because(why)
      .suggest("download it again, or another conversion of the model");
}

// Of the first byte that is no UTF-8; the size of `text` if all of it is.
size_t end_of_utf8(const std::string& text) {
  Utf8Stream stream;
  std::string valid = stream.push(text);
  valid += stream.finish();
  const auto [same, differs] = std::mismatch(text.begin(), text.end(), valid.begin(), valid.end());
  return static_cast<size_t>(same - text.begin());
}

}  // namespace

Result<std::vector<llama_token>> tokenize(const Engine& engine, const std::string& text,
                                          bool first) {
  std::vector<llama_token> tokens;
  try {
    tokens = common_tokenize(engine.vocab(), text, first, true);
  } catch (const std::exception& error) {
    if (const size_t end = end_of_utf8(text); end < text.size()) {
      return Status(StatusCode::invalid_argument, "the prompt is no text")
          .because(fmt::format("at byte {} of {} it is not UTF-8", end, text.size()))
          .suggest("a text file, converted: iconv -t UTF-8");
    }
    return broken_vocabulary(engine, fmt::format("llama.cpp's tokenizer failed: {}", error.what()));
  }
  const llama_token count = llama_vocab_n_tokens(engine.vocab());
  for (const llama_token token : tokens) {
    if (token >= 0 && token < count) continue;
    return broken_vocabulary(engine, fmt::format("token {} is not among its {}", token, count));
  }
  return tokens;
}

}  // namespace hypura::cli
