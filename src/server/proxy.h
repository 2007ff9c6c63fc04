#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/answer_translator.h"
#include "server/broker.h"
#include "server/exchange.h"
#include "server/http/error_body.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace hypura {

using AskModel = std::function<WholeAnswer(Exchange::Request)>;

// What is asked of a model's process for one request of a client.
struct ModelCall {
  std::string model;
  Wish wish;
  Exchange::Request request;
  Protocol protocol = Protocol::openai;
  // Makes `request` of answers of the process, once it is loaded. May be empty. Errors: failed.
  std::function<Status(const AskModel& ask, Exchange::Request& request)> prepare = {};
  // Of the answer into another protocol; nullptr: it is passed on as it comes. Made once the model
  // is loaded, by the seconds that this request waited for that.
  std::function<std::unique_ptr<AnswerTranslator>(double load_seconds)> translate = {};
  // Nothing is sent before the answer is complete, though the process streams it.
  bool whole = false;
};

// Answers with what the process of a model says. Waits for a place at the model; leaves it, and
// ends the computing, as soon as the client has gone.
void answer_by_model(Broker& broker, ModelCall call, const httplib::Request& request,
                     httplib::Response& response);

// As `protocol` says that a request cannot be answered.
void answer_error(httplib::Response& response, Protocol protocol, int http_code,
                  std::string_view message);
void answer_refusal(httplib::Response& response, Protocol protocol, const Refusal& refusal);

}  // namespace hypura
