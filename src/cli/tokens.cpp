#include "cli/tokens.h"

#include <fmt/format.h>

#include <exception>

namespace hypura::cli {
namespace {

Status broken_vocabulary(const Engine& engine, const std::string& why) {
  return Status(StatusCode::invalid_model,
                fmt::format("{}: its vocabulary cannot encode the prompt",
                            engine.index().shards().front().path))
      .because(why)
      .suggest("download it again, or another conversion of the model");
}

}  // namespace

Result<std::vector<llama_token>> tokenize(const Engine& engine, const std::string& text,
                                          bool first) {
  std::vector<llama_token> tokens;
  try {
    tokens = common_tokenize(engine.vocab(), text, first, true);
  } catch (const std::exception& error) {
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
