#pragma once

#include "base/status.h"
#include "server/answer_translator.h"
#include "server/ollama/request_options.h"
#include "server/proxy.h"

namespace hypura::ollama {

// The request to llama.cpp's /v1/embeddings that answers /api/embed, or the older /api/embeddings.
// Errors: invalid_argument.
Result<Json> embed_request(const Json& body);
Result<Json> embeddings_request(const Json& body);

// The request with texts that are longer than the model's context cut to it, as their first tokens.
// As it is where the model's process does not say what they are: it then refuses them itself.
Json fit_input(Json request, const AskModel& ask);

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
