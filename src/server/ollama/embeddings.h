#pragma once

#include "base/status.h"
#include "server/answer_translator.h"
#include "server/ollama/request_options.h"

namespace hypura::ollama {

// The request to llama.cpp's /v1/embeddings that answers /api/embed, or the older /api/embeddings.
// Errors: invalid_argument.
Result<Json> embed_request(const Json& body);
Result<Json> embeddings_request(const Json& body);

// Ollama's answer made of OpenAI's, which is one object.
class EmbedAnswer final : public AnswerTranslator {
 public:
  struct Frame {
    std::string model;
    double load_seconds = 0;
    double started_seconds = 0;  // by base/clock.h
    size_t dimensions = 0;       // that are kept of each; 0: all
    bool older = false;          // as /api/embeddings answers
  };
  explicit EmbedAnswer(Frame frame) : frame_(std::move(frame)) {}

  std::string content_type() const override { return "application/json; charset=utf-8"; }
  std::string on_data(std::string_view data) override;
  std::string on_end() override;
  std::string on_failure(std::string_view message) override;

 private:
  Frame frame_;
  std::string body_;
};

}  // namespace hypura::ollama
