#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/answer_translator.h"
#include "server/http/event_reader.h"

namespace hypura::ollama {

using Json = nlohmann::ordered_json;

// What an answer of Ollama's needs to know beside the events of llama.cpp's server.
struct AnswerFrame {
  enum class Kind : uint8_t { chat, generate };
  Kind kind = Kind::chat;
  std::string model;
  bool stream = true;  // NDJSON as it comes; else one object at the end
  int top_logprobs = 0;  // alternatives of a token that are told
  double load_seconds = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  // Of a generate that says its `context`: the prompt's tokens. It does not where llama.cpp left
  // out tokens of the answer, as it does with those that split a character.
  bool tells_context = false;
  std::vector<int> prompt_tokens = {};
};

// Turns events of /v1/chat/completions or /completion into Ollama's answer.
class Answer final : public AnswerTranslator {
 public:
  explicit Answer(AnswerFrame frame) : frame_(std::move(frame)) {}

  std::string content_type() const override;
  int http_code() const override { return error_.empty() || frame_.stream ? 200 : 500; }
  std::string on_data(std::string_view data) override;
  std::string on_end() override;
  std::string on_failure(std::string_view message) override;

 private:
  struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;  // JSON, that comes in pieces
  };

  std::string take(const Json& event);
  std::string take_delta(const Json& delta, const Json& logprobs);
  std::string say(const std::string& text, const std::string& thinking, const Json& logprobs);
  Json tool_calls() const;
  Json piece() const;
  Json last_piece() const;
  Json text_fields(const std::string& text, const std::string& thinking) const;

  AnswerFrame frame_;
  EventReader events_;
  std::string text_;
  std::string thinking_;
  Json logprobs_ = Json::array();
  std::map<int, ToolCall> calls_;
  std::vector<int> tokens_;
  std::string reason_;  // empty: not done
  std::optional<size_t> token_count_;  // of a completion
  std::string error_;
  Json timings_;
};

// An answer without a model's: done at once, for `reason` "load" or "unload".
std::string done_at_once(AnswerFrame::Kind kind, const std::string& model, const char* reason);

// "2026-11-23T09:30:00.123456789Z".
std::string time_text(int64_t ns_since_1970);
std::string now_text();

}  // namespace hypura::ollama
